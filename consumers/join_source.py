"""Fusion's source: the topic of images joined with the experts' topics, by partition number.

A number is joined while all its partitions are ours. They may come, and go, one by one (Kafka's
consumer protocol, KIP-848; a rolling restart with another roster); until all are here they are
paused and nothing of them is handed out. When a part of them goes, what was read of the rest goes
too, and has to be read again from the committed offsets: see `rewinds`.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from confluent_kafka import Message

from consumers.join import IMAGES, Joined, PartitionJoin
from consumers.join_number import JoinNumber
from consumers.join_part import LateLog, LatePrior, Part, Parts
from consumers.source import Arrival, TopicPartition, offset, place
from consumers.stage import Record
from densefusion import metrics, tracing
from schemas import Codec

log = logging.getLogger("densefusion.join")
_TICK = 0.1  # seconds between looks for experts that have become silent
_PAUSE = 1.0  # seconds; whoever did not listen for longer cannot tell silence from deafness
_PATIENCE = 10.0  # seconds until a number that is not complete is worth a warning


class JoinSource:
    """Hands out images in order, each with the priors of its experts.

    Args:
        images: full name of the topic of images.
        experts: expert -> full name of its topic of priors.
        window: images, and priors of each expert, held for a partition.
        deadline: seconds of silence after which an expert counts as dead.
        keep_late: hand out priors whose image has left, each as a `LatePrior`; else they are
            dropped.

    Attributes:
        held: messages that wait for nothing but a place in their lane.
    """

    def __init__(
        self,
        images: str,
        experts: dict[str, str],
        codec: Codec,
        *,
        window: int,
        deadline: float,
        keep_late: bool = False,
    ) -> None:
        self._images = images
        self._names = {topic: name for name, topic in experts.items()}
        self._topics = {IMAGES: images, **experts}
        self.topics = list(self._topics.values())
        self._parts = Parts(codec, experts)
        self._readers: dict[str, Callable[[bytes], dict[str, Any]]] = {
            name: partial(codec.decode, f"Prior:{name}") for name in experts
        } | {IMAGES: partial(codec.decode, "Image")}
        self._new = partial(
            PartitionJoin[Part], experts, window=window, deadline=deadline, keep_late=keep_late
        )
        self._numbers: dict[int, JoinNumber] = {}
        self._ready: deque[JoinNumber] = deque()  # something of theirs may leave
        self._changed: set[int] = set()  # since the last look at the pauses
        self._paused: set[TopicPartition] = set()
        self._last = self._clock = self._tick = 0.0
        self._count = 0
        self._late = LateLog()
        self.held = 0
        metrics.JOIN_WINDOW.set(window)
        metrics.LATE_PRIORS.labels("fusion")  # there from the start: the first is an increase then
        for name in experts:
            metrics.MISSING_PRIORS.labels(name)
            metrics.RECAPTIONS.labels(name)

    # -- which partitions are ours -----------------------------------------------------------------

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        came = list(partitions)
        self.revoked(came)  # where they were ours already, they begin anew
        for topic, number in came:
            held = self._numbers.get(number)
            if held is None:
                held = self._numbers[number] = JoinNumber((self._images, number), self._clock)
            held.ours.add(topic)
            self._changed.add(number)
            if len(held.ours) == len(self.topics):
                self._begin(held)

    def _begin(self, held: JoinNumber) -> None:
        held.join = self._new()
        early, held.early = held.early, []
        for (topic, _), run in groupby(early, place):
            self._give(held, held.join, topic, run)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        for topic, number in partitions:
            held = self._numbers.get(number)
            if held is None or topic not in held.ours:
                continue
            held.ours.discard(topic)
            held.lost.discard(topic)
            held.early = [each for each in held.early if each.topic() != topic]
            self._paused.discard((topic, number))
            self._changed.add(number)
            if held.join is not None:
                self._end(held, held.join)
            if not held.ours:
                del self._numbers[number]
                for gauge in (metrics.JOIN_IMAGES, metrics.JOIN_OLDEST):
                    with contextlib.suppress(KeyError):
                        gauge.remove(str(number))

    def _end(self, held: JoinNumber, join: PartitionJoin[Part]) -> None:
        self._count -= join.held
        held.join = None
        held.since = self._clock
        held.lost = set(held.ours)
        if held.ready:
            held.ready = False
            self._ready.remove(held)

    def oldest(self) -> dict[TopicPartition, int]:
        """Of the images alone: a prior waits for its image, not for us."""
        found = {}
        for number, held in self._numbers.items():
            waiting = held.join.waiting if held.join is not None else 0
            metrics.JOIN_IMAGES.labels(number).set(waiting)
            oldest = held.join.oldest if held.join is not None else None
            waits = 0.0
            if oldest is not None:
                waits = max(0.0, self._clock - oldest[0])
                found[held.lane] = oldest[1].message.timestamp()[1]
            elif held.early:
                found[held.lane] = held.early[0].timestamp()[1]
            metrics.JOIN_OLDEST.labels(number).set(waits)
        return found

    def lanes(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        """The lanes whose records commit anything of these partitions."""
        return {(self._images, number) for _, number in partitions}

    def rewinds(self) -> set[TopicPartition]:
        """Partitions to seek to their committed offsets before anything more is polled.

        What was read of them is forgotten, though they stayed ours. Each is named once; from then
        on what is offered of it is taken to come from there.
        """
        places = set()
        for number, held in self._numbers.items():
            if held.lost and held.join is not None:
                places |= {(topic, number) for topic in held.lost}
                held.lost.clear()
        return places

    # -- messages in -------------------------------------------------------------------------------

    def offer(self, messages: Sequence[Message], now: float) -> None:
        if now != self._last:
            self._listen(now)
        for (topic, number), run in groupby(messages, place):
            held = self._numbers.get(number)
            if held is None or topic not in held.ours or (held.lost and topic in held.lost):
                continue  # revoked while the poll returned, or read again later
            if held.join is None:
                held.early.extend(run)
            else:
                self._give(held, held.join, topic, run)

    def _give(
        self, held: JoinNumber, join: PartitionJoin[Part], topic: str, run: Iterable[Message]
    ) -> None:
        before = join.held
        name = self._names.get(topic)
        if name is None:
            for message in run:
                part = self._parts.image(message)
                join.image(offset(message), part, self._clock, readable=part.error is None)
        else:
            for message in run:
                part = self._parts.prior(name, message)
                join.prior(name, offset(message), part.of, part, self._clock)
        self._count += join.held - before
        self._changed.add(held.lane[1])
        self._wake(held)

    def _wake(self, held: JoinNumber) -> None:
        if not held.ready:
            held.ready = True
            self._ready.append(held)

    # -- records out -------------------------------------------------------------------------------

    def take(self, full: set[TopicPartition], now: float) -> Arrival | None:
        if now != self._last:
            self._listen(now)
        ready = self._ready
        for _ in range(len(ready)):
            held = ready[0]
            if held.lane in full:
                ready.rotate(-1)
                continue
            join = held.join
            assert join is not None
            before = join.held
            joined = join.next(self._clock)
            self._count -= before - join.held
            self._changed.add(held.lane[1])
            if join.late:
                metrics.LATE_PRIORS.labels("fusion").inc(join.late)
                self._late.add(join.late)
                join.late = 0
            if joined is not None:
                # To the end: each partition in its turn, or a backlog of one would hold up all.
                ready.rotate(-1)
                self.held = self._count
                return self._arrival(held, joined)
            held.ready = False
            ready.popleft()
        self.held = self._count if ready else 0
        return None

    def pauses(self, full: set[TopicPartition]) -> set[TopicPartition]:
        paused = self._paused
        for number in self._changed:
            held = self._numbers.get(number)
            if held is None:
                continue
            for stream, topic in self._topics.items():
                place = (topic, number)
                if held.join is None:
                    over = topic in held.ours
                elif place in paused:  # resumed at half, so that it does not flutter
                    over = not held.join.half_empty(stream)
                else:
                    over = held.join.full(stream)
                (paused.add if over else paused.discard)(place)
        self._changed.clear()
        return set(paused)

    def _listen(self, now: float) -> None:
        """Time goes on; not by more than a while in which nobody could have been heard."""
        self._clock += min(max(0.0, now - self._last), _PAUSE)
        self._last = now
        if self._clock < self._tick:
            return
        self._tick = self._clock + _TICK
        for number, held in self._numbers.items():
            if held.join is not None:
                if held.join.waiting:
                    self._wake(held)
            elif held.since is not None and self._clock - held.since >= _PATIENCE:
                held.since = None
                # Are partition counts equal, and is the assignor `range`?
                log.warning("partition not joined: not ours on every topic", extra={
                    "partition": number, "ours": sorted(held.ours),
                    "not_ours": sorted(set(self.topics) - held.ours),
                })  # fmt: skip

    def _arrival(self, held: JoinNumber, joined: Joined[Part]) -> Arrival:
        lane = held.lane
        number = lane[1]
        topics = self._topics
        commits = {(topics[stream], number): passed for stream, passed in joined.passed.items()}
        if joined.late:
            ((name, part),) = joined.priors.items()
            late = LatePrior(name, part.record(topics[name], number, self._readers[name]))
            return Arrival(lane, commits, part.message, late)
        image = joined.image
        if image is None:
            assert joined.unreadable is not None
            return Arrival(lane, commits, joined.unreadable.message, error=joined.unreadable.error)
        record = image.record(lane[0], number, self._readers[IMAGES])
        missing = joined.missing
        priors: dict[str, Record] = {}
        for name, part in joined.priors.items():
            if part.image_id != image.image_id:
                # A topic was made anew and the other was not: offsets agree, contents do not.
                missing[name] = "its prior at this place is of another image"
                continue
            priors[name] = part.record(topics[name], number, self._readers[name])
            if part.failed is not None:
                missing[name] = part.failed
        record.joined = priors
        record.missing = missing
        arrival = Arrival(lane, commits, image.message, record)
        if tracing.tracer() is not None:
            arrival.joined = [part.message for part in joined.priors.values()]
        return arrival
