"""A consumer that does what it is told, for tests of a worker's membership."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers.membership import Places

A = ("topic", 0)


class Failed:
    """A polled message that is an error."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error

    def topic(self) -> str:
        return A[0]

    def partition(self) -> int:
        return A[1]

    def error(self) -> KafkaError:
        return self._error


class Stands(NamedTuple):
    """An answer about one partition; the client's own class lets nobody set its error."""

    topic: str
    partition: int
    offset: int
    error: KafkaError | None


class ScriptedConsumer:
    """A consumer of A.

    Attributes:
        polls: what the next polls do: call back, or give messages.
        asked: what the next questions for committed offsets get instead of an answer.
        stands: the offset that is committed; `error`: why that of A is not known.
        generation: its metadata.
    """

    def __init__(self) -> None:
        self.polls: list[Callable[[ScriptedConsumer], list[Any]]] = []
        self.asked: list[KafkaError] = []
        self.stands = 7
        self.error: KafkaError | None = None
        self.generation = 1
        self.sought: list[int] = []
        self.paused: Places = set()
        self.consumed = 0
        self.closed = False

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def call_back(self, what: str) -> list[Any]:
        self._callbacks[what](self, [TopicPartition(*A)])
        return []

    def consume(self, most: int, seconds: float) -> list[Any]:
        self.consumed += 1
        return self.polls.pop(0)(self) if self.polls else []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[Stands]:
        self._open()
        if self.asked:
            raise KafkaException(self.asked.pop(0))
        return [Stands(each.topic, each.partition, self.stands, self.error) for each in places]

    def seek(self, place: TopicPartition) -> None:
        self.sought.append(place.offset)

    def consumer_group_metadata(self) -> object:
        return self.generation

    def assign(self, places: list[TopicPartition]) -> None: ...

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {(each.topic, each.partition) for each in places}

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self._open()

    def close(self) -> None:
        self.closed = True

    def _open(self) -> None:
        if self.closed:
            raise RuntimeError("Consumer closed")
