from __future__ import annotations

import asyncio
from collections import deque

from consumers.lanes import Slot
from consumers.runners import Runners
from tests.consumers.messages import arrival

LANE = ("in", 0)


class Bench:
    """Slots to take, and runners that work on them as each slot's event lets them."""

    def __init__(self, most: int, count: int) -> None:
        self.slots = [Slot(arrival(LANE, offset)) for offset in range(count)]
        self.waiting = deque(self.slots)
        self.gates = {id(slot): asyncio.Event() for slot in self.slots}
        self.begun: list[int] = []
        self.done: list[int] = []
        self.errors: list[BaseException] = []
        self.runners = Runners(most, self.take, self.work, self.errors.append)

    def take(self) -> Slot | None:
        return self.waiting.popleft() if self.waiting else None

    async def work(self, slot: Slot) -> None:
        offset = self.slots.index(slot)
        self.begun.append(offset)
        await self.gates[id(slot)].wait()
        self.done.append(offset)

    def open(self, *offsets: int) -> None:
        for offset in offsets:
            self.gates[id(self.slots[offset])].set()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_most_are_in_work_and_each_end_lets_one_begin() -> None:
    bench = Bench(2, 5)
    bench.runners.fill()
    await settle()
    assert bench.begun == [0, 1] and bench.runners.working == 2
    bench.open(1)
    await settle()
    assert bench.begun == [0, 1, 2] and bench.done == [1]
    bench.open(0, 2, 3, 4)
    await settle()
    assert sorted(bench.done) == [0, 1, 2, 3, 4] and bench.runners.working == 0


async def test_parked_runners_go_on_when_there_is_something_again() -> None:
    bench = Bench(2, 3)
    last = bench.waiting.pop()
    bench.open(0, 1, 2)
    bench.runners.fill()
    await settle()
    assert bench.runners.working == 0
    bench.waiting.append(last)
    bench.runners.fill()
    await settle()
    assert sorted(bench.done) == [0, 1, 2]


async def test_a_dropped_record_is_cancelled_and_its_runner_goes_on() -> None:
    bench = Bench(1, 2)
    bench.open(1)
    bench.runners.fill()
    await settle()
    dropped = bench.slots[0]
    dropped.dropped = True
    assert dropped.task is not None
    dropped.task.cancel()
    await settle()
    assert bench.done == [1] and bench.runners.working == 0
    assert dropped.outgoing is None


async def test_a_record_dropped_before_it_began_is_not_worked_on() -> None:
    bench = Bench(1, 2)
    bench.open(0, 1)
    bench.runners.fill()
    bench.slots[0].dropped = True
    await settle()
    assert bench.begun == [1]


async def test_work_that_never_waits_leaves_the_loop_its_turns() -> None:
    bench = Bench(1, 1000)
    bench.open(*range(1000))
    bench.runners.fill()
    turns = 0
    while len(bench.done) < 1000:
        await asyncio.sleep(0)
        turns += 1
    assert 5 < turns < 100


async def test_what_work_raises_is_told() -> None:
    async def broken(slot: Slot) -> None:
        raise ValueError("a bug")

    told: list[BaseException] = []
    slots = deque([Slot(arrival(LANE, 0))])
    runners = Runners(1, lambda: slots.popleft() if slots else None, broken, told.append)
    runners.fill()
    await settle()
    assert [str(each) for each in told] == ["a bug"]


async def test_closing_cancels_all() -> None:
    bench = Bench(3, 3)
    bench.runners.fill()
    await settle()
    bench.runners.close()
    await settle()
    assert bench.done == [] and bench.errors == []
    assert bench.runners.working == 0
