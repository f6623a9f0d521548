"""A worker's membership of its consumer group: the consumer, and what the group does to it.

Rebalances call back in the thread that polls; they are handled on the event loop, and the thread
waits for that, so that a partition is given up only when its work has been handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.client_stats import ClientStats
from consumers.consumer_thread import ConsumerThread
from consumers.source import place
from consumers.stalled import Stalled
from consumers.standing import Patience, committed
from consumers.starting import Starting
from densefusion.errors import BrokerError
from densefusion.refusals import lacks_right, right_refused

log = logging.getLogger("densefusion.membership")
Places = set[tuple[str, int]]
T = TypeVar("T")

_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 0.5
# Longer than a revocation can take; shorter than max.poll.interval.ms, after which the group goes
# on without us.
_REBALANCE_SECONDS = 50.0
_UNRELEASED_SECONDS = 1.0
_END_SECONDS = 2.0
_FENCED = "fenced: another worker runs under the same instance name; give each its own"


class Rebalanced(Protocol):
    """What is done, on the event loop, when partitions come and go."""

    async def assigned(self, partitions: Places) -> None: ...

    async def revoked(self, partitions: Places, *, commit: bool) -> None:
        """`commit`: they are ours until this returns; else they are another's already."""


class Membership:
    """One consumer, subscribed to `topics`.

    Args:
        make: builds the consumer; called again where the brokers want a new one.
        starting: gives partitions their start.
        patience: seconds to wait until the brokers let a static member in again.
        stats: what the consumer tells of itself; without it, a stalled fetch is not noticed.

    Attributes:
        group: metadata of the membership, for transactions. It is of the generation whose
            assignment was handled last, never of a later one: with that, the brokers would take the
            offsets of partitions that are another worker's by now.
        assigned: the partitions that are ours.
    """

    def __init__(
        self,
        make: Callable[[], Consumer],
        topics: list[str],
        rebalanced: Rebalanced,
        failed: Callable[[BaseException], None],
        starting: Starting,
        *,
        patience: float = 180.0,
        stats: ClientStats | None = None,
    ) -> None:
        self._make = make
        self._topics = topics
        self._rebalanced = rebalanced
        self._failed = failed
        self._patience = patience
        self._starting = starting
        self._stats = stats
        self._looked = 0.0  # at those statistics
        self._stalled = Stalled(self._end)
        self._stuck: Places = set()
        self._late = False  # the group went on without our having handled it
        self._thread = ConsumerThread()
        self._consumer: Consumer | None = None
        self._paused: Places = set()
        self._gone: Places = set()  # in the middle of a poll
        self._refused: float | None = None  # since when the brokers do not let us in
        self.group: object = None
        self.assigned: Places = set()

    @property
    def stands(self) -> Mapping[tuple[str, int], int]:
        """What was committed of each partition when it became ours, as of `Starting`."""
        return self._starting.stands

    def join(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._consumer = self._make()
        self._consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=partial(self._on_revoke, commit=True),
            on_lost=partial(self._on_revoke, commit=False),
        )

    async def leave(self) -> None:
        if self._consumer is not None:
            await self._thread.run(self._consumer.close)
        self._thread.close()

    async def poll(self, most: int, rewinds: Places) -> list[Message]:
        """Up to `most` messages; none after a moment without any.

        Args:
            rewinds: partitions to read again from what is committed.

        Raises:
            BrokerError: we are fenced, a topic is gone, or (`Refused`) the brokers do not let us.
        """
        messages = await self._thread.run(partial(self._poll, most, rewinds & self.assigned))
        if self._stuck:
            log.warning("fetching has stalled, joining anew", extra=_by_topic(self._stuck))
            await self._anew()
        good = [message for message in messages if message.error() is None]
        if len(good) < len(messages):
            for message in messages:
                if (error := message.error()) is not None:
                    await self._poll_error(error)
        return good

    def pause(self, wanted: Places) -> None:
        """Have the partitions `wanted` paused, and no others. Not while a poll runs."""
        wanted = (wanted | self._starting.waiting) & self.assigned
        consumer = self._consumer
        assert consumer is not None
        try:
            if stop := wanted - self._paused:
                consumer.pause([TopicPartition(*each) for each in stop])
            if go := (self._paused & self.assigned) - wanted:
                consumer.resume([TopicPartition(*each) for each in go])
        except KafkaException as error:  # revoked in this very moment
            log.debug("pausing failed", extra={"error": error.args[0].str()})
        self._paused = wanted

    async def commit(self, offsets: list[TopicPartition]) -> None:
        """Commit offsets outside of any transaction. Raises `KafkaException`."""
        await self._ask(lambda consumer: consumer.commit(offsets=offsets, asynchronous=False))

    async def committed(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """What the group has committed.

        Raises:
            BrokerError: the brokers are away for longer than we are patient.
        """
        patience = Patience(self._patience)
        while True:
            try:
                return await self._ask(lambda consumer: committed(consumer, places))
            except KafkaException as failure:
                patience.bear(failure, "committed offsets")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _ask(self, call: Callable[[Consumer], T]) -> T:
        assert self._consumer is not None
        try:
            return await self._thread.call(partial(call, self._consumer))
        except RuntimeError as error:  # closed just now, to be made anew
            raise KafkaException(KafkaError(KafkaError._STATE, str(error))) from error

    # -- in the polling thread -------------------------------------------------------------------

    def _poll(self, most: int, rewinds: Places) -> list[Message]:
        consumer = self._consumer
        assert consumer is not None
        self._starting.again(consumer, rewinds)
        self._starting.look(consumer)
        # Wait for one, then take what is there: a full batch is not worth waiting for.
        messages = consumer.consume(1, _POLL_SECONDS)
        if messages:
            self._gone = set()
            rest = consumer.consume(most - 1, 0)
            # What was taken away in there may be back, and is read again then.
            messages = [each for each in messages if place(each) not in self._gone] + rest
            messages = self._starting.fresh(messages)
        if not self._late:
            self.group = consumer.consumer_group_metadata()
        if self._stats is not None and self._stats.at != self._looked:
            self._looked = self._stats.at
            ours = {at: each for at, each in self._stats.partitions.items() if at in self.assigned}
            self._stuck = self._stalled.look(ours, self._paused)
        return messages

    def _end(self, place: tuple[str, int]) -> int | None:
        consumer = self._consumer
        assert consumer is not None
        try:
            marks = consumer.get_watermark_offsets(TopicPartition(*place), _END_SECONDS)
        except KafkaException:
            return None
        return int(marks[1]) if marks is not None else None

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # librdkafka keeps its pause flags across assignments.
        consumer.resume(partitions)
        self._starting.assign(consumer, partitions)
        self._on_loop(self._handle_assigned(_places(partitions)), consumer)

    def _on_revoke(
        self, consumer: Consumer, partitions: list[TopicPartition], *, commit: bool
    ) -> None:
        self._gone |= _places(partitions)
        self._on_loop(self._handle_revoked(_places(partitions), commit=commit), consumer)

    def _on_loop(self, handler: Coroutine[object, object, None], consumer: Consumer) -> None:
        with contextlib.suppress(RuntimeError):  # while the consumer is closed
            self.group = consumer.consumer_group_metadata()
        future = asyncio.run_coroutine_threadsafe(handler, self._loop)
        try:
            self._thread.serve(future, _REBALANCE_SECONDS)
        except TimeoutError:
            # Whatever is held of these partitions must not be committed any more.
            self._late = True
            future.cancel()
            late = BrokerError(f"a rebalance was not handled in {_REBALANCE_SECONDS:.0f} s")
            self._loop.call_soon_threadsafe(self._failed, late)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    # -- on the event loop -----------------------------------------------------------------------

    async def _handle_assigned(self, partitions: Places) -> None:
        log.info("partitions assigned", extra=_by_topic(partitions))
        self.assigned |= partitions
        self._paused -= partitions
        self._refused = None
        await self._rebalanced.assigned(partitions)

    async def _handle_revoked(self, partitions: Places, *, commit: bool) -> None:
        log.info("partitions revoked" if commit else "partitions lost", extra=_by_topic(partitions))
        try:
            await self._rebalanced.revoked(partitions, commit=commit)
        finally:
            self.assigned -= partitions
            self._starting.revoked(partitions)

    async def _poll_error(self, error: KafkaError) -> None:
        said = error.str()
        if "still used by another member" in said:  # UNRELEASED_INSTANCE_ID, fatal (KIP-848)
            await self._rejoin(said)
        elif "fenced" in said:
            # Brokers that were frozen say so too, of nobody: a start is all it takes then.
            raise BrokerError(f"{_FENCED}. If each has its own, start again ({said})")
        elif lacks_right(error):  # else it would be refused again and again, and nobody told
            raise right_refused(error, f"consuming {', '.join(self._topics)}")
        elif error.fatal() or error.code() in (
            KafkaError._FATAL,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
        ):
            raise BrokerError(f"consuming {', '.join(self._topics)}: {said}")
        else:
            log.warning("consuming failed", extra={"error": said, "code": error.name()})

    async def _rejoin(self, said: str) -> None:
        """The session of a worker of this name, probably dead, is not over yet: try again."""
        now = time.monotonic()
        if self._refused is None:
            self._refused = now
            log.warning("waiting to join the group", extra={"error": said})
        elif now - self._refused > self._patience:
            raise BrokerError(f"{_FENCED} ({said})")
        await self._anew(_UNRELEASED_SECONDS)

    async def _anew(self, pause: float = 0.0) -> None:
        """With another consumer, as another member (as the same one, if it is static)."""
        assert self._consumer is not None
        await self._thread.run(self._consumer.close)
        await asyncio.sleep(pause)
        self._stuck = set()
        self._stalled.forget()
        self.join()


def _by_topic(partitions: Places) -> dict[str, object]:
    """Fields of a log line."""
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return {"count": len(partitions), "partitions": numbers}


def _places(partitions: Iterable[TopicPartition]) -> Places:
    return {(each.topic, each.partition) for each in partitions}
