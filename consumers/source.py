"""Where a worker's records come from: the partitions of its topics, each in its own order.

A source buffers what was polled, decodes it, and hands records out in the order of their lane; it
says which partitions to pause, so that what it holds stays bounded and Kafka is the buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from confluent_kafka import Message

from consumers.stage import Record
from schemas import Codec

if TYPE_CHECKING:
    from consumers.traces import Trace

TopicPartition = tuple[str, int]
Headers = list[tuple[str, str | bytes | None]]


@dataclass(slots=True)
class Arrival:
    """A record that may start now, or a message that cannot be read.

    Attributes:
        lane: records of one lane are committed in the order in which they were handed out.
        commits: for each partition, the offset to commit once this one is finished.
        message: the message as it came, for its headers, and for the dead letter it may become.
        record: None where `error` says why the message cannot be read. (A record that nobody has
            looked into yet may turn out unreadable later.)
        joined: messages that were joined with it; known only where this process is traced.
        trace: its spans, where it is sampled.
    """

    lane: TopicPartition
    commits: dict[TopicPartition, int]
    message: Message
    record: Record | None = None
    error: Exception | None = None
    joined: Sequence[Message] = ()
    trace: Trace | None = None


class Source(Protocol):
    """What the worker asks of a source. All calls come from the event loop's thread."""

    topics: list[str]
    held: int
    """Messages polled and not yet handed out."""

    def oldest(self) -> dict[TopicPartition, int]:
        """For lanes with anything here, the timestamp in ms of the first message to leave."""

    def assigned(self, partitions: Iterable[TopicPartition]) -> None: ...

    def revoked(self, partitions: Iterable[TopicPartition]) -> None: ...

    def lanes(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        """The lanes whose records commit anything of these partitions."""

    def rewinds(self) -> set[TopicPartition]:
        """Partitions whose polled messages were forgotten, though they stayed ours: each is to be
        read again from its committed offset. Each is named once; from this call on, what is offered
        of it is taken to come from there."""

    def offer(self, messages: Sequence[Message], now: float) -> None:
        """Take what was polled."""

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        """The next record that may start, from a lane that is not in `full`."""

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        """The partitions to pause now."""


@dataclass(slots=True)
class _Buffer:
    lane: TopicPartition
    read: Callable[[bytes], dict[str, Any]]
    messages: deque[Message] = field(default_factory=deque)


class TopicSource:
    """Records of one topic, or of several that have nothing to do with each other.

    Args:
        schemas: topic -> name of the schema of its records.
        depth: messages held, all partitions together, before those that hold most are paused.
    """

    def __init__(self, schemas: Mapping[str, str], codec: Codec, *, depth: int = 1000) -> None:
        self.topics = list(schemas)
        self.held = 0
        self._readers = {topic: partial(codec.decode, name) for topic, name in schemas.items()}
        self._depth = depth
        self._paused = False
        self._buffers: dict[TopicPartition, _Buffer] = {}
        self._turn: deque[_Buffer] = deque()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        for lane in partitions:
            buffer = self._buffers[lane] = _Buffer(lane, self._readers[lane[0]])
            self._turn.append(buffer)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        for lane in partitions:
            buffer = self._buffers.pop(lane, None)
            if buffer is not None:
                self.held -= len(buffer.messages)
                self._turn = deque(each for each in self._turn if each is not buffer)

    def oldest(self) -> dict[TopicPartition, int]:
        return {
            lane: buffer.messages[0].timestamp()[1]
            for lane, buffer in self._buffers.items()
            if buffer.messages
        }

    def lanes(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        return set(partitions)

    def rewinds(self) -> set[TopicPartition]:
        return set()

    def offer(self, messages: Sequence[Message], now: float) -> None:
        for where, run in groupby(messages, place):
            buffer = self._buffers.get(where)
            if buffer is not None:  # else it was revoked while the poll returned
                before = len(buffer.messages)
                buffer.messages.extend(run)
                self.held += len(buffer.messages) - before

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        turn = self._turn
        for _ in range(len(turn)):
            buffer = turn[0]
            turn.rotate(-1)
            if buffer.messages and buffer.lane not in full:
                self.held -= 1
                return _arrival(buffer, buffer.messages.popleft())
        return None

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        # The client throws away what it fetched of a paused partition, so that pausing is for what
        # is stalled; what is only busy is not polled for a moment.
        if self.held < self._depth // 2:
            self._paused = False
        elif self.held >= self._depth:
            self._paused = True
        if not self._paused:
            return set()
        share = max(1, self._depth // (2 * len(self._buffers)))
        return {lane for lane, buffer in self._buffers.items() if len(buffer.messages) >= share}


def _arrival(buffer: _Buffer, message: Message) -> Arrival:
    lane = buffer.lane
    at = message.offset() or 0
    key = (message.key() or b"").decode("utf-8", "replace")
    record = Record(lane[0], lane[1], at, key, None, message.value() or b"", buffer.read)
    return Arrival(lane, {lane: at + 1}, message, record)


def decode(codec: Codec, schemas: Mapping[str, str], message: Message) -> Record:
    """The record in a message. Raises `SchemaError`."""
    topic, partition = place(message)
    raw = message.value() or b""
    value = codec.decode(schemas[topic], raw)
    key = (message.key() or b"").decode("utf-8", "replace")
    return Record(topic, partition, offset(message), key, value, raw)


def place(message: Message) -> TopicPartition:
    """Topic and partition of a polled message."""
    return message.topic() or "", message.partition() or 0


def offset(message: Message) -> int:
    """Offset of a polled message."""
    return message.offset() or 0


def drain(source: Source, now: float) -> Iterator[Arrival]:
    """Everything that may start now; for tests and tools that have no lanes to fill."""
    while (arrival := source.take(set(), now)) is not None:
        yield arrival
