"""The faults of a schedule, done when the run has come far enough.

Faults of workers overlap; a broker's waits until the one before is back in sync, since a cluster of
three bears the loss of one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from deploy.kafka.cluster import KafkaCluster
from tests.chaos.object_store import ChaosStore
from tests.chaos.schedule import Fault
from tests.chaos.supervisor import LEAVE_SECONDS, Supervisor

log = logging.getLogger("chaos.faults")
_TOGETHER = 3  # faults of workers
_WORKING_SECONDS = 10.0  # for a worker that was hit to be at work again
_GAP = 0.5  # seconds between two of one lane
_MENDED_SECONDS = 150.0  # a broker in sync again, on a machine that is busy


@dataclass(slots=True)
class Injector:
    """Runs a schedule.

    Args:
        progress: share of the URLs that have come to their end.
    """

    faults: Sequence[Fault]
    supervisor: Supervisor
    cluster: KafkaCluster
    store: ChaosStore
    progress: Callable[[], float]
    done: Counter[str] = field(default_factory=Counter)
    _left: set[int] = field(default_factory=set)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._left = {fault.number for fault in self.faults}

    @property
    def due(self) -> float:
        """Where the next fault is due; 1 when all have begun. The URLs are paced by it."""
        return min((self.faults[number].at for number in self._left), default=1.0)

    def stop(self) -> None:
        """Begin nothing more; what is broken is still mended."""
        self._stopped = True

    async def run(self) -> None:
        """Until all are done, and mended."""
        async with asyncio.TaskGroup() as lanes:
            for lane, together in (("worker", _TOGETHER), ("broker", 1), ("store", 1)):
                mine = [fault for fault in self.faults if fault.lane == lane]
                lanes.create_task(self._lane(mine, together))

    async def _lane(self, faults: Sequence[Fault], together: int) -> None:
        room = asyncio.Semaphore(together)
        async with asyncio.TaskGroup() as going:
            for fault in faults:
                while self.progress() < fault.at and not self._stopped:
                    await asyncio.sleep(0.1)
                if self._stopped:
                    return
                await room.acquire()
                task = going.create_task(self._inject(fault))
                task.add_done_callback(lambda _: room.release())
                await asyncio.sleep(_GAP)

    async def _inject(self, fault: Fault) -> None:
        async with self._locks.setdefault(fault.target or "store", asyncio.Lock()):
            if fault.kind != "worker add" and fault.lane == "worker":
                await self._worth_it(fault.target)
            log.info("%s", fault)
            self._left.discard(fault.number)
            began = time.monotonic()
            await self._kinds()[fault.kind](fault)
            self.done[fault.kind] += 1
            log.debug("%s: over after %.1f s", fault, time.monotonic() - began)

    def _kinds(self) -> dict[str, Callable[[Fault], Awaitable[None]]]:
        return {
            "worker kill": self._kill_worker,
            "worker freeze": self._freeze_worker,
            "worker zombie": self._freeze_worker,
            "worker restart": self._restart_worker,
            "worker add": self._add_worker,
            "worker remove": self._remove_worker,
            "broker kill": self._kill_broker,
            "broker freeze": self._freeze_broker,
            "store kill": self._kill_store,
            "store freeze": self._freeze_store,
        }

    async def _worth_it(self, name: str) -> None:
        """Until the worker has something to lose, or for a while."""
        until = time.monotonic() + _WORKING_SECONDS
        while not self.supervisor.working(name) and time.monotonic() < until:
            await asyncio.sleep(0.2)

    # -- workers -------------------------------------------------------------------------------

    async def _kill_worker(self, fault: Fault) -> None:
        self.supervisor.kill(fault.target)
        await asyncio.sleep(fault.seconds)
        self.supervisor.start(fault.target)

    async def _freeze_worker(self, fault: Fault) -> None:
        self.supervisor.freeze(fault.target)
        await asyncio.sleep(fault.seconds)
        self.supervisor.thaw(fault.target)

    async def _restart_worker(self, fault: Fault) -> None:
        await self._leave(fault.target)
        await asyncio.sleep(fault.seconds)
        self.supervisor.start(fault.target)

    async def _add_worker(self, fault: Fault) -> None:
        if fault.target in self.supervisor:  # as many as there may be
            await self._leave(fault.target)
        self.supervisor.start(fault.target)

    async def _remove_worker(self, fault: Fault) -> None:
        bundle = fault.target.rpartition("-")[0]
        last = sum(name.rpartition("-")[0] == bundle for name in self.supervisor.names()) == 1
        await self._leave(fault.target)
        if last:
            self.supervisor.start(fault.target)

    async def _leave(self, name: str) -> None:
        self.supervisor.send_away(name)
        until = time.monotonic() + LEAVE_SECONDS
        while not self.supervisor.gone(name) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        self.supervisor.forget(name)

    # -- brokers -------------------------------------------------------------------------------

    async def _kill_broker(self, fault: Fault) -> None:
        node = int(fault.target)
        self.cluster.kill(node)
        await asyncio.sleep(fault.seconds)
        self.cluster.restart(node)
        await asyncio.to_thread(self.cluster.wait_ready, _MENDED_SECONDS)

    async def _freeze_broker(self, fault: Fault) -> None:
        node = int(fault.target)
        self.cluster.freeze(node)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self.cluster.thaw(node)
        await asyncio.to_thread(self.cluster.wait_ready, _MENDED_SECONDS)

    # -- the object store ----------------------------------------------------------------------

    async def _kill_store(self, fault: Fault) -> None:
        self.store.kill()
        await asyncio.sleep(fault.seconds)
        self.store.launch()
        await self._store_answers()

    async def _freeze_store(self, fault: Fault) -> None:
        self.store.freeze()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self.store.thaw()
        await self._store_answers()

    async def _store_answers(self) -> None:
        until = time.monotonic() + _MENDED_SECONDS
        while not await asyncio.to_thread(self.store.answers):
            if time.monotonic() > until or (death := self.store.death()) is not None:
                raise RuntimeError(f"the object store does not come back: {death or 'no answer'}")
            await asyncio.sleep(0.2)
