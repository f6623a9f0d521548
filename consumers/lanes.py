"""Order restored: records finish in any order, and are committed in the order they came.

A lane is one partition of a worker's input. Its slots stand in the order of the records; only the
finished prefix may be published and committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from consumers.source import Arrival, TopicPartition
from consumers.transaction import Outgoing


class Slot:
    """One record in work: `outgoing` is None until it is finished.

    `task` is what works on it; `dropped` says that its outcome is not ours to commit any more.
    """

    __slots__ = ("arrival", "dropped", "outgoing", "task")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.outgoing: list[Outgoing] | None = None
        self.task: asyncio.Task[None] | None = None
        self.dropped = False

    def bytes(self) -> int:
        """Size of its output."""
        return sum(message.size for message in self.outgoing or ())


@dataclass(slots=True)
class Batch:
    """A finished prefix of one or more lanes, to be committed together."""

    slots: list[Slot] = field(default_factory=list)
    lanes: dict[TopicPartition, deque[Slot]] = field(default_factory=dict)

    def outgoing(self) -> list[Outgoing]:
        return [message for slot in self.slots for message in slot.outgoing or ()]

    def offsets(self) -> dict[TopicPartition, int]:
        """For each partition the offset to commit: last finished + 1, never the position."""
        commits: dict[TopicPartition, int] = {}
        for slot in self.slots:  # in order within a lane, so that the last one wins
            commits.update(slot.arrival.commits)
        return commits


class Lanes:
    """All lanes of a worker.

    Args:
        window: slots a lane may hold; one that holds as many is full.

    Attributes:
        full: lanes from which nothing more may be taken now.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._lanes: dict[TopicPartition, deque[Slot]] = {}
        self._closed: set[TopicPartition] = set()
        self.full: set[TopicPartition] = set()

    def add(self, arrival: Arrival) -> Slot:
        slot = Slot(arrival)
        lane = self._lanes.get(arrival.lane)
        if lane is None:
            lane = self._lanes[arrival.lane] = deque()
        lane.append(slot)
        if len(lane) >= self._window:
            self.full.add(arrival.lane)
        return slot

    def oldest(self) -> dict[TopicPartition, int]:
        """For each lane with anything in it, the timestamp in ms of its first record's message."""
        return {
            lane: slots[0].arrival.message.timestamp()[1]
            for lane, slots in self._lanes.items()
            if slots
        }

    def close(self, lanes: Iterable[TopicPartition]) -> None:
        """Let nothing more begin in these lanes; they will be dropped."""
        self._closed.update(lanes)
        self.full |= self._closed

    def open(self, lanes: Iterable[TopicPartition]) -> None:
        """These lanes are ours (again)."""
        self._closed.difference_update(lanes)
        self.full.difference_update(lanes)

    def unfinished(self, lanes: Iterable[TopicPartition]) -> bool:
        """Whether anything in these lanes is still in work."""
        return any(slot.outgoing is None for lane in lanes for slot in self._lanes.get(lane, ()))

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def take_finished(self, only: set[TopicPartition] | None = None) -> Batch:
        """Remove the finished prefix of each lane (of the lanes `only`)."""
        batch = Batch()
        for lane, slots in self._lanes.items():
            if only is not None and lane not in only:
                continue
            batch.lanes[lane] = slots
            while slots and slots[0].outgoing is not None:
                batch.slots.append(slots.popleft())
            self._measure(lane, slots)
        return batch

    def put_back(self, batch: Batch) -> list[Slot]:
        """Undo `take_finished`, for the lanes that are still here; the slots that are back.

        A lane that was dropped and came back meanwhile is another: its records are read again.
        """
        back = []
        for slot in reversed(batch.slots):
            place = slot.arrival.lane
            lane = self._lanes.get(place)
            if lane is not None and lane is batch.lanes[place]:
                lane.appendleft(slot)
                back.append(slot)
        for place in batch.lanes:
            if place in self._lanes:
                self._measure(place, self._lanes[place])
        return back

    def drop(self, lanes: Iterable[TopicPartition]) -> list[Slot]:
        """Forget lanes; the slots that were in them."""
        dropped = [slot for lane in lanes for slot in self._lanes.pop(lane, ())]
        for slot in dropped:
            slot.dropped = True
        self.open(lanes)
        return dropped

    def _measure(self, lane: TopicPartition, slots: deque[Slot]) -> None:
        if len(slots) < self._window and lane not in self._closed:
            self.full.discard(lane)
        elif len(slots) >= self._window:
            self.full.add(lane)
