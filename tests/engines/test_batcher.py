from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.batcher import Batcher
from engines.errors import EngineError


class Doubling:
    """A real `run` that notes its batches; negative items fail; `gate` holds it back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        assert self.gate.wait(5)
        if any(item < 0 for item in items):
            raise ValueError(f"negative among {list(items)}")
        return [2 * item for item in items]


async def _until(condition: object) -> None:
    deadline = time.monotonic() + 5
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.integers(-3, 50), max_size=40),
    max_batch=st.integers(1, 9),
    workers=st.integers(1, 3),
)
def test_every_item_gets_its_own_answer(items: list[int], max_batch: int, workers: int) -> None:
    run = Doubling()

    async def main() -> list[object]:
        batcher = Batcher(run, max_batch=max_batch, workers=workers, name="test")
        answers = await asyncio.gather(*map(batcher.submit, items), return_exceptions=True)
        await batcher.close()
        return list(answers)

    answers = asyncio.run(main())
    for item, answer in zip(items, answers, strict=True):
        assert isinstance(answer, ValueError) if item < 0 else answer == 2 * item
    assert all(1 <= len(batch) <= max_batch for batch in run.batches)


async def test_takes_what_waits_in_order_as_soon_as_the_thread_is_free() -> None:
    run = Doubling()
    run.gate.clear()
    batcher = Batcher(run, max_batch=4, workers=1, name="test")
    first = asyncio.create_task(batcher.submit(0))
    await _until(lambda: run.batches)
    rest = [asyncio.create_task(batcher.submit(n)) for n in range(1, 7)]
    await asyncio.sleep(0)
    run.gate.set()
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10, 12]
    assert run.batches == [[0], [1, 2, 3, 4], [5, 6]]
    await batcher.close()


async def test_what_waits_is_spread_over_the_idle_threads() -> None:
    run = Doubling()
    batcher = Batcher(run, max_batch=8, workers=2, name="test")
    await asyncio.gather(*(batcher.submit(n) for n in range(8)))
    assert sorted(run.batches) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    await batcher.close()


async def test_a_bad_item_fails_alone() -> None:
    run = Doubling()
    batcher = Batcher(run, max_batch=8, workers=1, name="test")
    answers = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 3)), return_exceptions=True)
    assert answers[0] == 2
    assert isinstance(answers[1], ValueError)
    assert answers[2] == 6
    assert run.batches == [[1, -1, 3], [1], [-1], [3]]
    await batcher.close()


async def test_too_few_results_are_an_error() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: [], max_batch=2, workers=1, name="test")
    with pytest.raises(EngineError, match="0 results for 1"):
        await batcher.submit(1)
    await batcher.close()


async def test_an_exception_that_a_future_cannot_carry_is_still_answered() -> None:
    def run(items: Sequence[int]) -> list[int]:
        raise StopIteration

    batcher = Batcher(run, max_batch=2, workers=1, name="test")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(batcher.submit(1), 5)
    await batcher.close()


async def test_cancelled_items_are_not_run_and_their_neighbours_are() -> None:
    run = Doubling()
    run.gate.clear()
    batcher = Batcher(run, max_batch=4, workers=1, name="test")
    tasks = [asyncio.create_task(batcher.submit(0))]
    await _until(lambda: run.batches)
    tasks += [asyncio.create_task(batcher.submit(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # runs already: its answer is dropped
    tasks[2].cancel()  # waits: never runs
    await asyncio.sleep(0)
    run.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert isinstance(answers[2], asyncio.CancelledError)
    assert [answers[1], answers[3]] == [2, 6]
    assert run.batches == [[0], [1, 3]]
    assert await batcher.submit(9) == 18
    await batcher.close()


async def test_close_lets_running_work_end_and_fails_what_waits() -> None:
    run = Doubling()
    run.gate.clear()
    batcher = Batcher(run, max_batch=1, workers=1, name="test")
    running = asyncio.create_task(batcher.submit(1))
    await _until(lambda: run.batches)
    waiting = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    assert not closing.done()
    run.gate.set()
    assert await running == 2
    with pytest.raises(EngineError, match="closed"):
        await waiting
    await closing
    with pytest.raises(EngineError, match="closed"):
        await batcher.submit(3)
    await batcher.close()
    assert run.batches == [[1]]


def test_bounds_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Batcher(Doubling(), max_batch=0, workers=1, name="test")
