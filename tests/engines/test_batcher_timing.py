"""When the batcher hands on what, on a fake clock and a simulated device: nothing here sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.batcher import Batcher
from engines.errors import EngineError
from tests.engines import fake_clock

SECONDS = 1.0  # of the device, for any batch


@dataclass
class Ran:
    """A batch: when it was handed to the device, and when that had it in work."""

    items: list[int]
    handed: float
    began: float
    ended: float


class SimulatedDevice(Executor):
    """Has `cores` batches in work at a time, each for `SECONDS`; more of them queue up in it."""

    def __init__(self, cores: int = 1) -> None:
        self.ran: list[Ran] = []
        self._free = [0.0] * cores

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        core = self._free.index(min(self._free))
        began = max(now, self._free[core])
        self._free[core] = began + SECONDS
        self.ran.append(Ran(list(args[0]), now, began, began + SECONDS))
        future: Future[Any] = Future()
        loop.call_at(began + SECONDS, lambda: future.set_result(fn(*args, **kwargs)))
        return future


def same(items: Sequence[int]) -> list[int]:
    return list(items)


def batcher(device: SimulatedDevice, **options: Any) -> Batcher[int, int]:
    given = {"max_batch": 4, "workers": 1, "name": "test", "max_waiting": 1000, **options}
    return Batcher(same, pool=device, **given)


def feed(device: SimulatedDevice, arrivals: Sequence[float], **options: Any) -> list[float]:
    """Submit item n at `arrivals[n]`; for each, when it was answered."""

    async def main() -> list[float]:
        batches = batcher(device, **options)
        loop = asyncio.get_running_loop()

        async def one(number: int) -> float:
            assert await batches.submit(number) == number
            return loop.time()

        tasks = []
        for number, at in enumerate(arrivals):
            if at > loop.time():
                await asyncio.sleep(at - loop.time())
            tasks.append(asyncio.create_task(one(number)))
        answered = await asyncio.gather(*tasks)
        await batches.close()
        return list(answered)

    return fake_clock.run(main())


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("buckets", [None, (1, 4), (4,)])
def test_a_quiet_stream_pays_no_delay(ahead: int, buckets: Sequence[int] | None) -> None:
    device = SimulatedDevice()
    arrivals = [1.5 * number for number in range(6)]
    answered = feed(device, arrivals, ahead=ahead, buckets=buckets)
    assert answered == pytest.approx([at + SECONDS for at in arrivals])


def test_a_full_batch_lies_at_the_device_before_it_is_free() -> None:
    device = SimulatedDevice()
    feed(device, [0.0] + [0.25] * 8, ahead=1)
    assert [ran.items for ran in device.ran] == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert [ran.handed for ran in device.ran] == pytest.approx([0, 0.25, 1])
    assert [ran.began for ran in device.ran] == pytest.approx([0, 1, 2])


def test_nothing_is_handed_on_early_to_workers_that_are_cores() -> None:
    device = SimulatedDevice()
    feed(device, [0.0] + [0.25] * 8, ahead=0)
    assert [ran.handed for ran in device.ran] == pytest.approx([0, 1, 2])


def test_a_batch_that_is_not_full_fills_while_the_device_is_busy() -> None:
    """Handed on early, it would run as 1 and then 2, and the device would be busy for longer."""
    device = SimulatedDevice()
    feed(device, [0.0, 0.2, 0.4, 0.6], ahead=2)
    assert [ran.items for ran in device.ran] == [[0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (4, [4]), (5, [4, 1]), (6, [6]), (7, [7]), (8, [8]), (9, [8, 1]), (11, [8, 3])],
)
def test_sizes_fit_the_buckets(count: int, sizes: list[int]) -> None:
    """Little is padded: 5 are 4 and 1, not 8; 7 are 8, not 4 and 3; 3 are 4, not 1, 1 and 1."""
    device = SimulatedDevice()
    feed(device, [0.0] * count, max_batch=8, buckets=(8, 1, 4))
    assert [len(ran.items) for ran in device.ran] == sizes


def test_a_batch_waits_for_more_where_it_is_told_to_and_no_longer() -> None:
    device = SimulatedDevice()
    feed(device, [0.0, 0.1, 0.2, 5.0, 5.0, 5.1, 5.2, 5.3], max_wait=0.5)
    assert [(ran.items, ran.began) for ran in device.ran] == [
        ([0, 1, 2], pytest.approx(0.5)),  # the oldest has waited for so long
        ([3, 4, 5, 6], pytest.approx(5.2)),  # full
        ([7], pytest.approx(6.2)),  # it waited while the device was busy
    ]


def test_a_full_batch_is_not_held_back_for_a_second_worker() -> None:
    device = SimulatedDevice(cores=2)
    feed(device, [0.0] * 5, workers=2, max_wait=0.5)
    assert [(ran.items, ran.began) for ran in device.ran] == [([0, 1, 2, 3], 0), ([4], 0.5)]


def test_closing_does_not_wait_for_the_timer() -> None:
    async def main() -> float:
        batches = batcher(SimulatedDevice(), max_wait=50)
        task = asyncio.create_task(batches.submit(1))
        await asyncio.sleep(0.1)
        await batches.close()
        with pytest.raises(EngineError, match="closed"):
            await task
        return asyncio.get_running_loop().time()

    assert fake_clock.run(main()) == pytest.approx(0.1)


def test_what_waits_is_bounded_and_those_behind_it_keep_their_order() -> None:
    async def main() -> None:
        device = SimulatedDevice()
        batches = batcher(device, max_waiting=6)
        tasks = [asyncio.create_task(batches.submit(number)) for number in range(30)]
        seen = []
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.1)
            seen.append(batches.waiting)
        assert max(seen) == 6
        assert [n for ran in device.ran for n in ran.items] == list(range(30))
        await batches.close()

    fake_clock.run(main())


def test_closing_fails_those_who_wait_for_room_too() -> None:
    async def main() -> None:
        batches = batcher(SimulatedDevice(), max_waiting=2)
        tasks = [asyncio.create_task(batches.submit(number)) for number in range(12)]
        await asyncio.sleep(0.1)
        tasks[9].cancel()  # waits for room
        await batches.close()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[:2] == [0, 1]
        assert isinstance(answers[9], asyncio.CancelledError)
        closed = [answer for number, answer in enumerate(answers) if number not in (0, 1, 9)]
        assert all(isinstance(answer, EngineError) for answer in closed)

    fake_clock.run(main())


@settings(max_examples=150, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.4, 1.3]), min_size=1, max_size=40),
    max_batch=st.integers(1, 9),
    ahead=st.integers(0, 2),
    cores=st.integers(1, 3),
    by_bucket=st.booleans(),
)
def test_no_device_idles_while_anything_waits(
    gaps: list[float], max_batch: int, ahead: int, cores: int, by_bucket: bool
) -> None:
    arrivals = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    buckets = sorted({1, max(1, max_batch // 2), max_batch}) if by_bucket else None
    device = SimulatedDevice(cores)
    feed(device, arrivals, max_batch=max_batch, ahead=ahead, workers=cores, buckets=buckets)
    assert [n for ran in device.ran for n in ran.items] == list(range(len(arrivals)))
    for number, ran in enumerate(device.ran):
        assert len(ran.items) <= max_batch
        busy = [other for other in device.ran[:number] if other.ended > ran.handed + 1e-6]
        if len(busy) >= cores:  # handed on early: full, and not too many
            assert len(ran.items) == max_batch
            assert len(busy) < cores + ahead
        # Before it began either all cores were busy, or its last item was not there.
        before = ran.began - 0.01
        at_work = [other for other in device.ran[:number] if other.began <= before < other.ended]
        assert len(at_work) >= cores or ran.began <= arrivals[ran.items[-1]] + 1e-6
