"""Workers of a process and its object store: who takes whom along."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from densefusion.cli.worker import _run
from densefusion.errors import StoreError


class WaitingWorker:
    """Works until it is told to stop."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()
        self.left = False

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        await self._stopped.wait()
        self.left = True


class FailingWorker(WaitingWorker):
    async def run(self) -> None:
        raise ValueError("this worker")


class Reached:
    """A store that does not let us in, and says why; or, with None, does not answer."""

    def __init__(self, answer: BaseException | None) -> None:
        self._answer = answer

    async def reach(self) -> None:
        if self._answer is None:
            await asyncio.sleep(3600)
        else:
            raise self._answer


async def run(workers: list[WaitingWorker], store: Reached) -> None:
    async with asyncio.timeout(5):
        made: Any = workers
        await _run(made, store)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [StoreError("a wrong key"), RuntimeError("a bug")], ids=repr)
async def test_who_cannot_reach_the_store_leaves_in_order_and_says_why(error: Exception) -> None:
    workers = [WaitingWorker(), WaitingWorker()]
    with pytest.raises(type(error), match=str(error)):
        await run(workers, Reached(error))
    assert all(each.left for each in workers)


async def test_a_worker_that_fails_takes_the_others_along_though_the_store_is_away() -> None:
    other = WaitingWorker()
    with pytest.raises(ValueError, match="this worker"):
        await run([FailingWorker(), other], Reached(None))
    assert other.left


async def test_workers_may_be_told_to_leave_while_the_store_is_away() -> None:
    worker = WaitingWorker()
    asyncio.get_running_loop().call_later(0.05, worker.stop)
    await run([worker], Reached(None))
    assert worker.left
