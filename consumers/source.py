"""Where a worker's records come from: the partitions of its topics, each in its own order.

A source buffers what was polled, decodes it, and hands records out in the order of their lane; it
says which partitions to pause, so that what it holds stays bounded and Kafka is the buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import Message

from consumers.stage import Record
from schemas import Codec, SchemaError

TopicPartition = tuple[str, int]
Headers = list[tuple[str, str | bytes | None]]


@dataclass(slots=True)
class Arrival:
    """A record that may start now, or a message that cannot be read.

    Attributes:
        lane: records of one lane are committed in the order in which they were handed out.
        commits: for each partition, the offset to commit once this one is finished.
        message: the message as it came, for its headers, and for the dead letter it may become.
        record: None where `error` says why the message cannot be read.
    """

    lane: TopicPartition
    commits: dict[TopicPartition, int]
    message: Message
    record: Record | None = None
    error: Exception | None = None


class Source(Protocol):
    """What the worker asks of a source. All calls come from the event loop's thread."""

    topics: list[str]

    def assigned(self, partitions: Iterable[TopicPartition]) -> None: ...

    def revoked(self, partitions: Iterable[TopicPartition]) -> None: ...

    def offer(self, message: Message, now: float) -> None:
        """Take one polled message."""

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        """The next record that may start, from a lane that is not in `full`."""

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        """The partitions to pause now."""


@dataclass(slots=True)
class _Buffer:
    messages: deque[Message] = field(default_factory=deque)
    paused: bool = False


class TopicSource:
    """Records of one topic, or of several that have nothing to do with each other.

    Args:
        schemas: topic -> name of the schema of its records.
        depth: messages held for a partition before it is paused.
    """

    def __init__(self, schemas: Mapping[str, str], codec: Codec, *, depth: int = 256) -> None:
        self.topics = list(schemas)
        self._schemas = dict(schemas)
        self._codec = codec
        self._depth = depth
        self._buffers: dict[TopicPartition, _Buffer] = {}
        self._turn: deque[TopicPartition] = deque()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._buffers[partition] = _Buffer()
            self._turn.append(partition)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if self._buffers.pop(partition, None) is not None:
                self._turn.remove(partition)

    def offer(self, message: Message, now: float) -> None:
        buffer = self._buffers.get(place(message))
        if buffer is not None:  # else it was revoked while the poll returned
            buffer.messages.append(message)

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        for _ in range(len(self._turn)):
            lane = self._turn[0]
            self._turn.rotate(-1)
            buffer = self._buffers[lane]
            if buffer.messages and lane not in full:
                return self._read(lane, buffer.messages.popleft())
        return None

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        paused = set()
        for lane, buffer in self._buffers.items():
            held = len(buffer.messages)
            # Resuming at half keeps the buffer from running dry while the fetcher starts again.
            buffer.paused = held >= (self._depth // 2 if buffer.paused else self._depth)
            if buffer.paused:
                paused.add(lane)
        return paused

    def _read(self, lane: TopicPartition, message: Message) -> Arrival:
        commits = {lane: offset(message) + 1}
        try:
            return Arrival(lane, commits, message, decode(self._codec, self._schemas, message))
        except SchemaError as error:
            return Arrival(lane, commits, message, error=error)


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
