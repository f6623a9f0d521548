"""A fixed set of tasks: as many of a worker's records are in work as there are tasks.

A task for each record would cost more than many a record's work. A runner takes the next record as
soon as it has finished one, and parks where there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from consumers.lanes import Slot

_TURN = 64  # records that never waited, after which the event loop has its turn


class Runners:
    """Runs `work` on what `take` gives.

    Args:
        most: records in work at the same time. Tasks are started when they are needed first.
        take: the next slot to work on, or None.
        work: the work.
        failed: called with what `work` raises; that runner is at its end.
    """

    def __init__(
        self,
        most: int,
        take: Callable[[], Slot | None],
        work: Callable[[Slot], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._most = most
        self._take = take
        self._work = work
        self._failed = failed
        self._parked: list[asyncio.Future[Slot]] = []  # the last one to park is the first to go on
        self._tasks: set[asyncio.Task[None]] = set()
        self.working = 0

    def fill(self) -> None:
        """Start what may start: call it when there may be something to take."""
        while self._parked or len(self._tasks) < self._most:
            slot = self._take()
            if slot is None:
                return
            self.working += 1
            if self._parked:
                self._parked.pop().set_result(slot)
            else:
                task = asyncio.create_task(self._run(slot))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def close(self) -> None:
        """Cancel whatever is in work."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _run(self, first: Slot) -> None:
        task = asyncio.current_task()
        assert task is not None
        slot: Slot | None = first
        turn = 0
        while True:
            if slot is None:
                turn = 0
                parked: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
                self._parked.append(parked)
                slot = await parked
            if not slot.dropped:
                slot.task = task
                try:
                    await self._work(slot)
                except asyncio.CancelledError:
                    # A partition that was taken away cancels its record, not the runner.
                    if not slot.dropped or task.uncancel() > 0:
                        self.working -= 1
                        raise
                slot.task = None
            turn += 1
            if turn % _TURN == 0:
                await asyncio.sleep(0)
            slot = self._take()
            if slot is None:
                self.working -= 1
