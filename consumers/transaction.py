"""Publish, commit offsets: one Kafka transaction (KIP-98, and KIP-447 for the group metadata).

A transaction exists only while a finished prefix is being committed: begin, produce everything,
send the offsets, commit. Work goes on meanwhile, and an aborted one loses nothing, since what it
was to publish is still in memory and is published again.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from consumers.bounded import NeverReturned, bounded, never_destroy
from consumers.source import Headers
from densefusion import clients
from densefusion.errors import BrokerError
from densefusion.refusals import lacks_right, right_refused

log = logging.getLogger("densefusion.transaction")

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_CALL_SECONDS = 10.0
# The brokers abort an older transaction (transaction.timeout.ms), then call its producer fenced.
_EXPIRED_SECONDS = 0.9 * clients.TRANSACTION_SECONDS


@dataclass(slots=True)
class Outgoing:
    """One message to publish, encoded."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.value or b"")


class Aborted(Exception):
    """The transaction was aborted; nothing of it is visible. It may be tried again."""


class Uncertain(Exception):
    """The transaction may have been committed or not: look at the group's offsets."""


class MakeProducer(Protocol):
    def __call__(self, *, on_fatal: Callable[[KafkaError], None]) -> Producer: ...


class Transactions:
    """One transactional producer, from one thread.

    Args:
        make: builds the producer, as `clients.producer` does; called again where the old one cannot
            go on.
        patience: seconds to try again what may pass.
    """

    def __init__(self, make: MakeProducer, *, patience: float = 180.0) -> None:
        self._make = make
        self._fatal: KafkaError | None = None  # what ended the producer
        self._patience = patience
        self._producer: Producer | None = None
        self._began = 0.0
        self._left = threading.Event()

    def open(self) -> None:
        """Register the transactional id; fences whoever had it, and ends what they left open.

        Raises:
            BrokerError: the brokers do not let us, after the retries.
        """
        self._fatal = None
        producer = self._producer = self._make(on_fatal=self._on_fatal)
        try:
            self._again(producer.init_transactions)
        except KafkaException as error:
            self._stay()
            if lacks_right(error.args[0]):
                raise right_refused(error.args[0], "no transactions") from error
            raise BrokerError(f"no transactions: {error.args[0].str()}") from error
        except NeverReturned as error:
            never_destroy(producer)
            raise BrokerError(f"no transactions: {error}") from error

    def close(self) -> None:
        """Let go, and try nothing again, even of a commit that another thread is in."""
        self._left.set()
        self._producer = None

    def _stay(self) -> None:
        if self._left.is_set():
            raise BrokerError("left, without waiting for the brokers")

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        offsets: Mapping[tuple[str, int], int],
        group_metadata: object,
    ) -> float:
        """Publish all of `outgoing` and commit `offsets`, or nothing of either.

        Returns the seconds that the publishing took.

        Raises:
            Aborted: nothing was committed; try again.
            Uncertain: it is not known; the producer is a new one.
            BrokerError: fenced by another worker of the same name, or no way to go on.
        """
        producer = self._producer
        assert producer is not None
        self._began = time.monotonic()
        try:
            try:
                return self._attempt(producer, outgoing, offsets, group_metadata)
            except KafkaException as failure:
                self._recover(producer, failure.args[0])
        except NeverReturned as error:
            log.error("a call never returned, going on with a new producer",
                      extra={"error": str(error)})  # fmt: skip
            never_destroy(producer)
            self._renew()  # which also ends what the old one began
            raise Uncertain(str(error)) from error

    def _attempt(
        self,
        producer: Producer,
        outgoing: Sequence[Outgoing],
        offsets: Mapping[tuple[str, int], int],
        group_metadata: object,
    ) -> float:
        producer.begin_transaction()
        for topic, run in itertools.groupby(outgoing, _batchable):
            if topic is None:
                for message in run:
                    self._produce(producer, message)
            else:
                self._produce_batch(producer, topic, run)
        publishing = time.monotonic() - self._began
        # Group metadata with the offsets is what fences a zombie (KIP-447).
        self._again(
            producer.send_offsets_to_transaction,
            [TopicPartition(topic, number, at) for (topic, number), at in offsets.items()],
            group_metadata,
        )
        self._again(producer.commit_transaction)
        with contextlib.suppress(KafkaException):  # it is committed, whatever comes now
            producer.poll(0)
        return publishing

    def _produce(self, producer: Producer, message: Outgoing) -> None:
        until = time.monotonic() + self._patience
        while True:
            try:
                producer.produce(
                    message.topic, message.value, message.key, headers=message.headers or None
                )
            except BufferError:
                self._make_room(producer, until)
            else:
                return

    def _produce_batch(self, producer: Producer, topic: str, run: Iterable[Outgoing]) -> None:
        """One call for all of `run`, which has no headers (the client's batches take none)."""
        until = time.monotonic() + self._patience
        rest = [{"value": message.value, "key": message.key} for message in run]
        while rest:
            with contextlib.suppress(BufferError):
                producer.produce_batch(topic, rest)
            failed = [each for each in rest if "_error" in each]
            for each in failed:
                error: Any = each.pop("_error")
                if error.code() != KafkaError._QUEUE_FULL:
                    raise KafkaException(error)
            rest = failed
            if rest:
                self._make_room(producer, until)

    def _make_room(self, producer: Producer, until: float) -> None:
        self._stay()
        if time.monotonic() > until:
            raise BrokerError(f"the brokers have taken nothing for {self._patience:.0f} s")
        producer.poll(0.1)

    def _on_fatal(self, error: KafkaError) -> None:
        self._fatal = error

    def _recover(self, producer: Producer, error: KafkaError) -> NoReturn:
        """Turn a failed transaction into `Aborted`, `Uncertain` or `BrokerError`."""
        error = self._cause(producer, error)
        if lacks_right(error):  # trying again would not help; the brokers abort what is open
            raise right_refused(error, "publishing or committing")
        if error.txn_requires_abort() and error.code() not in _FENCED:
            log.warning("transaction failed", extra={"error": error.str(), "code": error.name()})
            try:
                self._again(producer.abort_transaction)
            except KafkaException as failure:
                error = self._cause(producer, failure.args[0])
            else:
                raise Aborted(error.str())
        # Neither retried nor aborted: this producer is at its end, and its last commit may or may
        # not have reached the coordinator.
        self._renew(error)
        raise Uncertain(error.str())

    def _cause(self, producer: Producer, error: KafkaError) -> KafkaError:
        """What ended the producer, if anything did: an error's exception does not always say."""
        try:
            producer.poll(0)
        except KafkaException as failure:
            error = failure.args[0]
        return self._fatal or error

    def _renew(self, error: KafkaError | None = None) -> None:
        """Make a new producer, which fences whoever has the name now: never before it is certain
        that it was not the other way round.

        Raises:
            BrokerError: it was; or the brokers do not let us; or we have left.
        """
        self._stay()
        error = self._fatal or error
        if error is not None and error.code() in _FENCED:
            if time.monotonic() - self._began < _EXPIRED_SECONDS:
                raise BrokerError(
                    "fenced: another worker runs under the same instance name; give each its own"
                )
            log.warning("transaction not committed in time, and aborted by the brokers")
        elif error is not None:
            log.warning("producer at its end, going on with a new one",
                        extra={"error": error.str(), "code": error.name()})  # fmt: skip
        self.open()

    def _again(self, call: Callable[..., object], *args: object) -> None:
        """Make a call, and again for `patience` seconds while its error says that may help.

        Raises:
            KafkaException: it does not help.
            Refused: the brokers do not accept our login.
            NeverReturned: the call is still there, long after its time-out.
        """
        until = time.monotonic() + self._patience
        while True:
            try:
                bounded(call, *args, _CALL_SECONDS)
            except KafkaException as error:
                if not error.args[0].retriable() or self._fatal or time.monotonic() > until:
                    raise
                log.info("waiting for the brokers", extra={"error": error.args[0].str()})
                if (producer := self._producer) is not None:
                    producer.poll(0)  # where they refuse our login, it says so, and raises
                if self._left.wait(0.1):
                    raise
            else:
                return


def _batchable(message: Outgoing) -> str | None:
    return None if message.headers else message.topic
