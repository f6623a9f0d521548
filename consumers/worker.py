"""The loop that every stage runs in: consume, process, produce, commit.

One event loop does the work. Two threads keep Kafka's blocking calls off it: one polls the
consumer (and is called back there about rebalances), one runs transactions. So a slow record, a
slow commit or a slow broker holds up neither polling nor the other records.

    poll ──▶ source ──▶ up to `in_flight` records in work ──▶ lanes (order) ──▶ transaction
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.checkpoints import Checkpoints
from consumers.lanes import Lanes, Slot
from consumers.outputs import Outputs
from consumers.source import Arrival, Source
from consumers.stage import Rejected, Stage
from consumers.transaction import Outgoing, Transactions
from densefusion import metrics
from densefusion.errors import BrokerError, DependencyError
from densefusion.settings import Worker as WorkerSettings

log = logging.getLogger("densefusion.worker")
_POLL = 500
_POLL_SECONDS = 0.1
_REVOKE_SECONDS = 20.0


class Worker:
    """Runs one stage until it is told to stop.

    Args:
        in_flight: records in work at the same time.
    """

    def __init__(
        self,
        stage: Stage,
        source: Source,
        consumer: Consumer,
        transactions: Transactions,
        outputs: Outputs,
        settings: WorkerSettings,
        *,
        in_flight: int,
    ) -> None:
        self._stage = stage
        self._source = source
        self._consumer = consumer
        self._outputs = outputs
        self._settings = settings
        self._in_flight = in_flight
        self._lanes = Lanes(settings.window)
        self._working = 0
        self._paused: set[tuple[str, int]] = set()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._polls = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._checkpoints = Checkpoints(
            stage.name, self._lanes, consumer, transactions, outputs, settings, self._fill
        )
        self.assigned: set[tuple[str, int]] = set()

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
        self._loop = asyncio.get_running_loop()
        await self._stage.open()
        try:
            await self._checkpoints.open()
            self._consumer.subscribe(
                self._source.topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            committer = asyncio.create_task(self._commit_by_time())
            try:
                await self._pump()
                await self._finish()
            finally:
                committer.cancel()
        finally:
            await self._leave()
        if self._failure is not None:
            raise self._failure

    async def _commit_by_time(self) -> None:
        try:
            await self._checkpoints.by_time()
        except Exception as error:
            self._fail(error)

    # -- polling -------------------------------------------------------------------------------

    async def _pump(self) -> None:
        while not self._stopping.is_set():
            messages = await self._loop.run_in_executor(self._polls, self._poll)
            now = time.monotonic()
            for message in messages:
                error = message.error()
                if error is None:
                    self._source.offer(message, now)
                else:
                    self._poll_error(error)
            self._fill()
            self._apply_pauses()

    def _poll(self) -> list[Message]:
        # Wait for one, then take what is there: a full batch is not worth waiting for.
        messages = self._consumer.consume(1, _POLL_SECONDS)
        if messages:
            messages += self._consumer.consume(_POLL - 1, 0)
        return messages

    def _poll_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._fail(BrokerError(f"consuming {', '.join(self._source.topics)}: {error.str()}"))
        else:
            log.warning("consuming: %s", error.str())

    def _fill(self) -> None:
        """Start what may start."""
        full = self._lanes.full()
        now = time.monotonic()
        while self._working < self._in_flight and not self._stopping.is_set():
            arrival = self._source.take(full, now)
            if arrival is None:
                return
            slot = self._lanes.add(arrival)
            self._working += 1
            slot.task = self._loop.create_task(self._work(slot))
            slot.task.add_done_callback(partial(self._worked, slot))
            if full or len(self._lanes) >= self._settings.window:
                full = self._lanes.full()

    def _apply_pauses(self) -> None:
        wanted = self._source.pauses(self._lanes.full()) & self.assigned
        try:
            if stop := wanted - self._paused:
                self._consumer.pause([TopicPartition(*each) for each in stop])
            if go := (self._paused & self.assigned) - wanted:
                self._consumer.resume([TopicPartition(*each) for each in go])
        except KafkaException as error:  # revoked in this very moment
            log.debug("pausing: %s", error)
        self._paused = wanted

    # -- work ----------------------------------------------------------------------------------

    async def _work(self, slot: Slot) -> None:
        arrival = slot.arrival
        metrics.RECORDS_IN.labels(self._stage.name).inc()
        started = time.monotonic()
        try:
            slot.outgoing = await self._outcome(arrival)
        except DependencyError as error:
            self._fail(error)
        except Exception as error:  # the record is at fault: it must neither stop us nor loop
            log.exception("dead letter: %s %s", arrival.lane, arrival.commits)
            slot.outgoing = self._outputs.dead_letter(error, arrival)
        finally:
            metrics.PROCESS_SECONDS.labels(self._stage.name).observe(time.monotonic() - started)

    async def _outcome(self, arrival: Arrival) -> list[Outgoing]:
        if arrival.record is None:
            assert arrival.error is not None
            raise arrival.error
        try:
            return self._outputs.emitted(await self._stage.process(arrival.record), arrival)
        except Rejected as rejected:
            return self._outputs.rejected(rejected, arrival)

    def _worked(self, slot: Slot, _: asyncio.Task[None]) -> None:
        """A record is finished, or was cancelled, perhaps before it began."""
        self._working -= 1
        self._checkpoints.finished(slot)
        self._fill()

    def _fail(self, error: BaseException) -> None:
        """Stop because of `error`; the first one is what `run` raises."""
        if self._failure is None:
            self._failure = error
        self.stop()

    # -- rebalances: called in the polling thread, handled on the loop ---------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # librdkafka keeps its pause flags across assignments.
        consumer.resume(partitions)
        self._on_loop(self._assigned(_places(partitions)))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._on_loop(self._revoked(_places(partitions), commit=True))

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._on_loop(self._revoked(_places(partitions), commit=False))

    def _on_loop(self, handler: object) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(handler, self._loop)  # type: ignore[arg-type]
        try:
            future.result(_REVOKE_SECONDS)
        except TimeoutError:
            log.error("a rebalance was not handled in %.0f s", _REVOKE_SECONDS)
            future.cancel()

    async def _assigned(self, partitions: set[tuple[str, int]]) -> None:
        log.info("assigned %d partitions", len(partitions))
        metrics.REBALANCES.labels(self._stage.name).inc()
        self.assigned |= partitions
        self._paused -= partitions
        self._source.assigned(sorted(partitions))
        metrics.ASSIGNED.labels(self._stage.name).set(len(self.assigned))

    async def _revoked(self, partitions: set[tuple[str, int]], *, commit: bool) -> None:
        """Commit what is finished of these partitions, and no more; forget the rest."""
        log.info("%s %d partitions", "revoked" if commit else "lost", len(partitions))
        if commit:
            try:
                await self._checkpoints.commit(partitions)
            except BrokerError as error:
                self._fail(error)
        for slot in self._lanes.drop(partitions):
            if slot.outgoing is not None:
                self._checkpoints.dropped(slot)
            elif slot.task is not None:
                slot.task.cancel()
        self.assigned -= partitions
        self._source.revoked(partitions)
        self._stage.revoked(partitions)
        metrics.ASSIGNED.labels(self._stage.name).set(len(self.assigned))

    # -- leaving -------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Wait for the work in hand, within the grace, and commit what is finished."""
        until = time.monotonic() + self._settings.shutdown_grace
        while self._working and self._failure is None and time.monotonic() < until:
            await asyncio.sleep(0.02)
        try:
            await self._checkpoints.commit()
        except BrokerError as error:
            self._fail(error)

    async def _leave(self) -> None:
        await self._loop.run_in_executor(self._polls, self._consumer.close)
        self._checkpoints.close()
        await self._stage.close()
        self._polls.shutdown(wait=False)


def _places(partitions: Iterable[TopicPartition]) -> set[tuple[str, int]]:
    return {(each.topic, each.partition) for each in partitions}
