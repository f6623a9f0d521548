"""The loop that every stage runs in: consume, process, produce, commit.

One event loop does the work. Two threads keep Kafka's blocking calls off it: one polls the
consumer (and is called back there about rebalances), one runs transactions. So a slow record, a
slow commit or a slow broker holds up neither polling nor the other records.

    poll ──▶ source ──▶ up to `in_flight` records in work ──▶ lanes (order) ──▶ transaction
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping

from confluent_kafka import Consumer

from consumers.breaker import Breaker
from consumers.checkpoints import Checkpoints
from consumers.client_stats import ClientStats
from consumers.lanes import Lanes, Slot
from consumers.membership import Membership
from consumers.outcomes import Outcomes
from consumers.outputs import Outputs
from consumers.pulse import Pulse
from consumers.runners import Runners
from consumers.source import Source
from consumers.stage import Stage
from consumers.starting import Starting
from consumers.traces import Traces
from consumers.transaction import Transactions
from consumers.vitals import Vitals
from densefusion import metrics
from densefusion.errors import BrokerError, CircuitOpen, DependencyError
from densefusion.settings import Worker as WorkerSettings

log = logging.getLogger("densefusion.worker")
_POLL = 500
_ROOM_SECONDS = 0.2
_REVOKE_COMMIT_SECONDS = 20.0


class Worker:
    """Runs one stage until it is told to stop.

    Args:
        consumer: builds one.
        in_flight: records in work at the same time.
        passed: where its partitions start, if that is not where its group stands.
        stats: what its consumer tells of itself.
        traces: makes the spans of its records.
        patience: seconds to wait until the brokers let a static member in again.
    """

    def __init__(
        self,
        stage: Stage,
        source: Source,
        consumer: Callable[[], Consumer],
        transactions: Transactions,
        outputs: Outputs,
        settings: WorkerSettings,
        starting: Starting,
        *,
        in_flight: int,
        stats: ClientStats | None = None,
        traces: Traces | None = None,
        patience: float = 180.0,
    ) -> None:
        self._stage = stage
        self._source = source
        self._outcomes = Outcomes(stage, outputs, traces)
        self._settings = settings
        self._lanes = Lanes(settings.window)
        self._breaker = Breaker(settings.breaker_share, settings.breaker_window)
        self._runners = Runners(in_flight, self._take, self._work, self._fail)
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()  # for more polled messages
        self._failure: BaseException | None = None
        self._membership = Membership(
            consumer, source.topics, self, self._fail, starting, patience=patience, stats=stats
        )
        self._checkpoints = Checkpoints(
            stage.name,
            self._lanes,
            self._membership,
            transactions,
            outputs,
            settings,
            self._committed,
        )
        self._vitals = Vitals(
            stage.name, self._lanes, source, stats, lambda: self.partitions, settings.stuck_after
        )
        self._records_in = metrics.RECORDS_IN.labels(stage.name)
        self._seconds = metrics.PROCESS_SECONDS.labels(stage.name)

    @property
    def partitions(self) -> set[tuple[str, int]]:
        """Those that are ours now."""
        return self._membership.assigned

    @property
    def pulse(self) -> Pulse:
        """Whether it is alive and ready."""
        return self._vitals.pulse

    def stop(self) -> None:
        """Finish the work in hand, commit, and leave. Safe to call again."""
        self._stopping.set()
        self._checkpoints.hurry()

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            DependencyError: a broker, the object store or a caption server is down for longer than
                the retries last. What was not finished stays uncommitted.
        """
        await self._stage.open()
        try:
            if await self._unless_stopped(self._checkpoints.open()):
                await self._run()
        finally:
            await self._leave()
        if self._failure is not None:
            raise self._failure

    async def _unless_stopped(self, opening: Coroutine[None, None, None]) -> bool:
        """Whether it came to its end: brokers that are away keep nobody from leaving."""
        waits = asyncio.create_task(opening), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if waits[0].done():
                waits[0].result()
            return waits[0].done()
        finally:
            for each in waits:
                each.cancel()

    async def _run(self) -> None:
        self._membership.join()
        self._vitals.opened()
        committer = asyncio.create_task(self._commit_by_time())
        try:
            await self._pump()
            await self._finish()
        finally:
            committer.cancel()
            self._runners.close()

    async def _commit_by_time(self) -> None:
        try:
            await self._checkpoints.by_time()
        except Exception as error:
            self._fail(error)

    # -- polling -------------------------------------------------------------------------------

    async def _pump(self) -> None:
        while not self._stopping.is_set():
            self.pulse.beat()
            idle_since = None if self._runners.working else time.monotonic()
            messages = await self._membership.poll(_POLL, self._source.rewinds())
            now = time.monotonic()
            if idle_since is not None:
                self._vitals.idle(now - idle_since)
            self._source.offer(messages, now)
            self._runners.fill()
            if self._source.held >= _POLL:
                # Polling on would only pause and resume; each resume fetches anew.
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ROOM_SECONDS):
                        await self._room.wait()
            self._membership.pause(self._source.pauses(self._lanes.full))

    def _take(self) -> Slot | None:
        """The next record that may start."""
        if self._stopping.is_set():
            return None
        arrival = self._source.take(self._lanes.full, time.monotonic())
        if self._source.held < _POLL // 2:
            self._room.set()
        if arrival is None:
            return None
        self._records_in.inc()
        slot = self._lanes.add(arrival)
        if arrival.lane in self._lanes.full:
            self._checkpoints.hurry()
        return slot

    # -- work ----------------------------------------------------------------------------------

    async def _work(self, slot: Slot) -> None:
        arrival = slot.arrival
        started = time.monotonic()
        try:
            outgoing, death = await self._outcomes.of(arrival)
        except DependencyError as error:
            self._fail(error)
            return
        self._breaker.record(bool(death), death)
        if death and (said := self._breaker.tripped) is not None:
            # It stays unfinished, so that neither it nor what follows it is committed.
            self._fail(
                CircuitOpen(
                    f"{self._stage.name}: {said}. Stopped, so as not to give up the whole topic; "
                    "`densefusion replay` puts back what was given up, once the cause is mended"
                )
            )
            return
        slot.outgoing = outgoing
        self._seconds.observe(time.monotonic() - started)
        self._checkpoints.finished(slot)

    def _fail(self, error: BaseException) -> None:
        """Stop because of `error`; the first one is what `run` raises."""
        if self._failure is None:
            self._failure = error
        self.stop()

    def _committed(self, offsets: Mapping[tuple[str, int], int]) -> None:
        self._vitals.committed(offsets)
        self._runners.fill()

    # -- rebalances ----------------------------------------------------------------------------

    async def assigned(self, partitions: set[tuple[str, int]]) -> None:
        self._lanes.open(self._source.lanes(partitions))
        self._source.assigned(sorted(partitions))
        self._vitals.assigned(self._membership.stands)

    async def revoked(self, partitions: set[tuple[str, int]], *, commit: bool) -> None:
        """Finish what is in work, within the grace; commit what is finished; forget the rest."""
        lanes = self._source.lanes(partitions)
        self._lanes.close(lanes)
        if commit:
            await self._hand_over(lanes)
        self._drop(lanes)
        self._source.revoked(partitions)
        self._stage.revoked(partitions)
        self._vitals.revoked(partitions)

    def _drop(self, lanes: set[tuple[str, int]]) -> None:
        for slot in self._lanes.drop(lanes):
            if slot.outgoing is not None:
                self._checkpoints.dropped(slot)
            elif slot.task is not None:
                slot.task.cancel()

    async def _hand_over(self, lanes: set[tuple[str, int]]) -> None:
        until = time.monotonic() + self._settings.revoke_grace
        while self._lanes.unfinished(lanes) and time.monotonic() < until:
            if self._failure is not None:
                break
            await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(_REVOKE_COMMIT_SECONDS):
                await self._checkpoints.commit(lanes)
        except TimeoutError:
            # The group goes on; the brokers refuse this commit if it comes after that.
            log.warning(
                "revoked partitions not committed in time", extra={"stage": self._stage.name}
            )
        except BrokerError as error:
            self._fail(error)

    # -- leaving -------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Wait for the work in hand, within the grace, and commit what is finished."""
        until = time.monotonic() + self._settings.shutdown_grace
        while self._runners.working and self._failure is None and time.monotonic() < until:
            await asyncio.sleep(0.02)
        try:
            async with asyncio.timeout(max(1.0, until - time.monotonic())):
                await self._checkpoints.commit()
        except TimeoutError:
            # It will be done again, by whoever gets the partitions.
            log.warning("finished work not committed in time", extra={"stage": self._stage.name})
        except BrokerError as error:
            self._fail(error)

    async def _leave(self) -> None:
        self.pulse.leaving()
        # What is not committed by now is not ours to commit: leaving revokes everything.
        self._drop(self._source.lanes(self.partitions))
        await self._membership.leave()
        self._checkpoints.close()
        await self._stage.close()
