"""Order restored: records finish in any order, and are committed in the order they came.

A lane is one partition of a worker's input. Its slots stand in the order of the records; only the
finished prefix may be published and committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from consumers.source import Arrival, TopicPartition
from consumers.transaction import Outgoing


@dataclass(slots=True)
class Slot:
    """One record in work: `outgoing` is None until it is finished."""

    arrival: Arrival
    task: asyncio.Task[None] | None = None
    outgoing: list[Outgoing] | None = None

    def bytes(self) -> int:
        """Size of its output."""
        return sum(len(message.value) for message in self.outgoing or ())


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
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._lanes: dict[TopicPartition, deque[Slot]] = {}

    def add(self, arrival: Arrival) -> Slot:
        slot = Slot(arrival)
        self._lanes.setdefault(arrival.lane, deque()).append(slot)
        return slot

    def full(self) -> set[TopicPartition]:
        return {lane for lane, slots in self._lanes.items() if len(slots) >= self._window}

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
        return batch

    def put_back(self, batch: Batch) -> None:
        """Undo `take_finished`, for the lanes that are still here.

        One that was dropped and came back meanwhile is another: its records are read again.
        """
        for slot in reversed(batch.slots):
            place = slot.arrival.lane
            lane = self._lanes.get(place)
            if lane is not None and lane is batch.lanes[place]:
                lane.appendleft(slot)

    def drop(self, lanes: set[TopicPartition]) -> list[Slot]:
        """Forget lanes; the slots that were in them."""
        return [slot for lane in lanes for slot in self._lanes.pop(lane, ())]
