"""Records and their marks, published together or not at all (KIP-98)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from densefusion import clients
from densefusion.errors import BrokerError
from densefusion.refusals import lacks_right, right_refused
from densefusion.replay.origin import Origin
from densefusion.settings import Kafka

log = logging.getLogger("densefusion.replay")

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_CALL_SECONDS = 10.0
_TRIES = 5
AGAIN = "run it again: it goes on where it stopped, and puts nothing back twice"


class Putting:
    """A transactional producer of its own, `<prefix>replay`: a second replay fences the first.

    Args:
        marks: full name of the topic of marks.
    """

    def __init__(self, settings: Kafka, marks: str) -> None:
        self._patience = settings.retry_for
        self._marks = marks
        self._producer: Producer = clients.producer(settings, f"{settings.prefix}replay")
        self._places: list[tuple[int, int]] = []
        self._open = False

    def open(self) -> None:
        """Fence other replays, and end what they left open. Raises `BrokerError`."""
        try:
            self._again(self._producer.init_transactions)
        except KafkaException as error:
            if lacks_right(error.args[0]):
                raise right_refused(error.args[0], "no transactions") from error
            raise BrokerError(f"no transactions: {error.args[0].str()}") from error

    def close(self) -> None:
        """Nothing of an unfinished transaction stays."""
        if self._open:
            self._abort()

    def put(self, origins: Sequence[Origin]) -> tuple[int, list[Origin]]:
        """Put all of them back, in one transaction.

        Returns how many went to another partition than they came from, and those that are too large
        for the brokers, which were not put back.

        Raises:
            BrokerError: nothing was put back, or it is not known; nothing is lost either way.
        """
        for _ in range(_TRIES):
            try:
                return self._put(origins)
            except KafkaException as error:
                failure = self._cause(error.args[0])
                if lacks_right(failure):
                    raise right_refused(failure, "putting back") from error
                if failure.code() in _FENCED:
                    raise BrokerError("another replay has begun; this one stops") from error
                if not failure.txn_requires_abort():
                    raise BrokerError(f"putting back: {failure.str()}; {AGAIN}") from error
                log.warning(
                    "transaction failed", extra={"error": failure.str(), "code": failure.name()}
                )
                self._abort()
        raise BrokerError(f"{_TRIES} transactions failed in a row; {AGAIN}")

    def _put(self, origins: Sequence[Origin]) -> tuple[int, list[Origin]]:
        self._places = []
        refused: list[Origin] = []
        self._producer.begin_transaction()
        self._open = True
        for origin in origins:
            try:
                self._produce(origin)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                refused.append(origin)
        self._again(self._producer.commit_transaction)
        self._open = False
        return sum(was != now for was, now in self._places), refused

    def _produce(self, origin: Origin) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None and origin.key is not None:  # without a key any partition will do
                self._places.append((origin.partition, message.partition() or 0))

        where = f"{origin.topic}/{origin.partition}/{origin.offset}"
        # The key is unchanged and the partitioner is the one of all producers, so that it comes to
        # lie where its key belongs today.
        self._hand_over(
            origin.topic, origin.value, origin.key, origin.next_headers(), on_delivery=delivered
        )
        self._hand_over(self._marks, where.encode(), origin.identity, None)

    def _hand_over(self, topic: str, *message: object, **further: object) -> None:
        value, key, headers = message
        until = time.monotonic() + self._patience
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, **further)  # type: ignore[arg-type]
            except BufferError:
                if time.monotonic() > until:
                    raise BrokerError(f"the brokers take nothing; {AGAIN}") from None
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _cause(self, failure: KafkaError) -> KafkaError:
        """Of a producer that is at its end `produce` says no more than that; its abort says why."""
        if failure.code() == KafkaError._FATAL:
            self._open = False
            try:
                self._producer.abort_transaction(_CALL_SECONDS)
            except KafkaException as error:
                failure = error.args[0]
        return failure

    def _abort(self) -> None:
        self._open = False
        try:
            self._again(self._producer.abort_transaction)
        except KafkaException as error:  # the brokers do it, after the transaction's time-out
            log.warning("transaction not aborted", extra={"error": error.args[0].str()})

    def _again(self, call: Callable[[float], object]) -> None:
        """Make a call, and again for as long as its error says that may help."""
        until = time.monotonic() + self._patience
        while True:
            try:
                call(_CALL_SECONDS)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > until:
                    raise
                log.info("waiting for the brokers", extra={"error": error.args[0].str()})
                time.sleep(0.1)
            else:
                return
