"""The bound on memory: never more, first come first served, and nothing lost by a cancellation."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.byte_budget import ByteBudget, Loan


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_large_one_is_not_overtaken_by_small_ones() -> None:
    budget = ByteBudget(10)
    first = await budget.lend(6)
    order: list[int] = []

    async def want(size: int) -> Loan:
        loan = await budget.lend(size)
        order.append(size)
        return loan

    large, small = asyncio.create_task(want(7)), asyncio.create_task(want(1))
    await _settled()
    assert order == []
    first.resize(3)
    await _settled()
    assert order == [7]  # 3 + 7; no room for the small one
    first.resize(0)
    await _settled()
    assert order == [7, 1]
    for each in (await large, await small):
        each.resize(0)
    assert budget.held == 0


async def test_more_than_all_goes_to_who_is_alone() -> None:
    budget = ByteBudget(10)
    with await budget.lend(3):
        huge = asyncio.create_task(budget.lend(50))
        await _settled()
        assert not huge.done()
    with await huge:
        assert budget.held == 50
    assert budget.held == 0


async def test_cancelled_ones_keep_nothing_and_hold_up_nobody() -> None:
    budget = ByteBudget(10)
    loan = await budget.lend(10)
    tasks = [asyncio.create_task(budget.lend(8)) for _ in range(4)]
    await _settled()
    tasks[0].cancel()  # waits
    loan.resize(0)
    tasks[1].cancel()  # was lent its bytes in this very turn
    await _settled()
    assert tasks[2].done() and not tasks[2].cancelled() and not tasks[3].done()
    tasks[2].result().resize(0)
    (await tasks[3]).resize(0)
    assert budget.held == 0


@settings(max_examples=100, deadline=None)
@given(
    limit=st.integers(1, 20),
    wants=st.lists(st.tuples(st.integers(1, 25), st.integers(0, 3), st.booleans()), max_size=25),
)
def test_it_is_never_over_its_limit_and_ends_empty(
    limit: int, wants: list[tuple[int, int, bool]]
) -> None:
    async def main() -> None:
        budget = ByteBudget(limit)
        loans = 0

        async def use(size: int, turns: int) -> None:
            nonlocal loans
            with await budget.lend(size):
                loans += 1
                try:
                    assert budget.held <= limit or loans == 1
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    loans -= 1

        tasks = [asyncio.create_task(use(size, turns)) for size, turns, _ in wants]
        await asyncio.sleep(0)
        for task, (_, _, cancelled) in zip(tasks, wants, strict=True):
            await asyncio.sleep(0)
            if cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in results if isinstance(each, AssertionError)]
        assert budget.held == 0

    asyncio.run(main())
