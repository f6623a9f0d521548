"""Fusion's source: the topic of images joined with the experts' topics, by partition number."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Message

from consumers.join import IMAGES, Joined, PartitionJoin
from consumers.source import Arrival, TopicPartition, decode, offset, place
from consumers.stage import Record
from densefusion import metrics
from densefusion.errors import TopicError
from schemas import Codec, SchemaError


class _Part:
    """A message with what could be read of it."""

    __slots__ = ("error", "message", "record")

    def __init__(self, message: Message, record: Record | None, error: Exception | None) -> None:
        self.message = message
        self.record = record
        self.error = error


class JoinSource:
    """Hands out images in order, each with the priors of its experts.

    Args:
        images: full name of the topic of images.
        experts: expert -> full name of its topic of priors.
        window: images, and priors of each expert, held for a partition.
        deadline: seconds of silence after which an expert counts as dead.
    """

    def __init__(
        self,
        images: str,
        experts: dict[str, str],
        codec: Codec,
        *,
        window: int,
        deadline: float,
    ) -> None:
        self._images = images
        self._topics = {IMAGES: images, **experts}
        self._streams = {topic: stream for stream, topic in self._topics.items()}
        self._schemas = {images: "Image"} | {
            topic: f"Prior:{name}" for name, topic in experts.items()
        }
        self.topics = list(self._streams)
        self._codec = codec
        self._window = window
        self._deadline = deadline
        self._joins: dict[int, PartitionJoin[_Part]] = {}
        self._paused: set[TopicPartition] = set()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Raises `TopicError` where a partition number is not ours on every topic."""
        held: dict[int, set[str]] = {}
        for topic, number in partitions:
            held.setdefault(number, set()).add(topic)
        for number, topics in held.items():
            if topics != set(self.topics):
                lacking = ", ".join(sorted(set(self.topics) - topics))
                raise TopicError(
                    f"partition {number} came without {lacking}: what is joined must be assigned "
                    "together; are partition counts equal, and is the assignor `range`?"
                )
            self._joins[number] = PartitionJoin(
                (stream for stream in self._topics if stream != IMAGES),
                window=self._window,
                deadline=self._deadline,
            )

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        for topic, number in partitions:
            self._joins.pop(number, None)
            self._paused.discard((topic, number))

    def offer(self, message: Message, now: float) -> None:
        topic, number = place(message)
        join = self._joins.get(number)
        if join is None:  # revoked while the poll returned
            return
        try:
            part = _Part(message, decode(self._codec, self._schemas, message), None)
        except SchemaError as error:
            part = _Part(message, None, error)
        stream = self._streams[topic]
        at = offset(message)
        if stream == IMAGES:
            join.image(at, part, now, readable=part.record is not None)
        else:
            image = part.record.value["offset"] if part.record is not None else None
            join.prior(stream, at, image, part, now)

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        for number in list(self._joins):
            lane = (self._images, number)
            if lane in full:
                continue
            join = self._joins[number]
            joined = join.next(now)
            if join.late:
                metrics.LATE_PRIORS.labels("fusion").inc(join.late)
                join.late = 0
            if joined is not None:
                # To the end: each partition in its turn, or a backlog of one would hold up all.
                self._joins[number] = self._joins.pop(number)
                return self._arrival(lane, joined)
        return None

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        paused = set()
        for number, join in self._joins.items():
            for stream, topic in self._topics.items():
                place = (topic, number)
                # A paused stream is resumed at half, so that it does not flutter.
                over = not join.half_empty(stream) if place in self._paused else join.full(stream)
                if over:
                    paused.add(place)
        self._paused = paused
        return set(paused)

    def _arrival(self, lane: TopicPartition, joined: Joined[_Part]) -> Arrival:
        commits = {
            (self._topics[stream], lane[1]): passed for stream, passed in joined.passed.items()
        }
        part = joined.image or joined.unreadable
        assert part is not None
        if part.record is None:
            return Arrival(lane, commits, part.message, error=part.error)
        record = part.record
        record.missing = joined.missing
        for name, prior in joined.priors.items():
            if prior.record is None or prior.record.value["image_id"] != record.value["image_id"]:
                # A topic was made anew and the other was not: offsets agree, contents do not.
                record.missing[name] = "its prior at this place is of another image"
            else:
                record.joined[name] = prior.record
        return Arrival(lane, commits, part.message, record)
