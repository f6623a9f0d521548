"""Checkpoints: the finished prefix of a worker's lanes is published and committed, by time.

Kafka's blocking calls run on a thread of their own; the work goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaException, TopicPartition

from consumers.commit_log import CommitLog
from consumers.commit_metrics import CommitMetrics
from consumers.lanes import Batch, Lanes, Slot
from consumers.membership import Membership
from consumers.outputs import Outputs
from consumers.transaction import Aborted, Outgoing, Transactions, Uncertain
from densefusion import tracing
from densefusion.errors import BrokerError
from densefusion.settings import Worker as Settings

log = logging.getLogger("densefusion.checkpoints")
_ABORTS = 30  # in a row


class Checkpoints:
    """Commits what is finished in `lanes`, one checkpoint at a time.

    Args:
        stage: name of the stage, for metrics.
        committed: called on the loop after each checkpoint, with the offsets where the group
            stands now; there is room for more work.
    """

    def __init__(
        self,
        stage: str,
        lanes: Lanes,
        membership: Membership,
        transactions: Transactions,
        outputs: Outputs,
        settings: Settings,
        committed: Callable[[Mapping[tuple[str, int], int]], None],
    ) -> None:
        self._stage = stage
        self._lanes = lanes
        self._membership = membership
        self._transactions = transactions
        self._outputs = outputs
        self._settings = settings
        self._done = committed
        self._log = CommitLog(stage)
        self._metrics = CommitMetrics(stage)
        self._bytes = 0  # of finished output, not yet published
        self._aborts = 0
        self._over = False  # what was taken could not be committed: nothing after it may be
        self._finished = asyncio.Event()  # something may be committed
        self._due = asyncio.Event()  # and should be, before its time
        self._one = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def open(self) -> None:
        """Raises `BrokerError` where the brokers let us have no transactions."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._transactions.open)

    def close(self) -> None:
        self._log.close()
        self._transactions.close()
        self._thread.shutdown(wait=False)

    def finished(self, slot: Slot) -> None:
        """A record's outputs are there."""
        self._bytes += slot.bytes()
        self._finished.set()
        if self._bytes >= self._settings.commit_bytes:
            self._due.set()

    def dropped(self, slot: Slot) -> None:
        """A finished record is not ours to commit any more."""
        self._bytes -= slot.bytes()

    def hurry(self) -> None:
        """Do not wait for the next time."""
        self._due.set()

    async def by_time(self) -> None:
        """Commit at once for a quiet stream, every `commit_interval` for a busy one; for ever.

        Raises:
            BrokerError: the brokers are away for longer than the retries last.
        """
        while True:
            await self._finished.wait()
            self._finished.clear()
            await self.commit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.commit_interval):
                    await self._due.wait()
            self._due.clear()

    async def commit(self, only: set[tuple[str, int]] | None = None) -> None:
        """Publish and commit the finished prefix (of the lanes `only`). Raises `BrokerError`."""
        async with self._one:
            batch = self._lanes.take_finished(only) if not self._over else Batch()
            if not batch.slots:
                return
            self._over = True  # until it turns out well
            self._bytes -= sum(slot.bytes() for slot in batch.slots)
            outgoing, offsets = batch.outgoing(), batch.offsets()
            started = time.monotonic()
            try:
                publishing = await self._publish(outgoing, offsets)
            except asyncio.CancelledError:
                # A hand-over that took too long: what follows in other lanes is another matter.
                self._over = only is None
                raise
            except (Aborted, Uncertain) as failure:
                self._put_back(batch)
                self._bear(failure)
                self._over = False
                return
            self._aborts = 0
            self._over = False
            seconds = time.monotonic() - started
            self._metrics.committed(batch, seconds, publishing)
            self._outputs.count(outgoing)
            self._log.add(len(batch.slots), outgoing, offsets, seconds)
            if tracing.tracer() is not None:
                for slot in batch.slots:
                    if slot.arrival.trace is not None:
                        slot.arrival.trace.committed()
        self._done(offsets)

    async def _publish(
        self, outgoing: Sequence[Outgoing], offsets: Mapping[tuple[str, int], int]
    ) -> float:
        """All of it, or none; the seconds that the publishing took.

        Raises:
            Aborted, Uncertain: none of it.
            BrokerError: it is not known, or there is no way to go on.
        """
        if not outgoing and not self._settings.offset_transactions:
            await self._commit_plainly(offsets)
            return 0.0
        loop = asyncio.get_running_loop()
        commit, group = self._transactions.commit, self._membership.group
        try:
            return await loop.run_in_executor(self._thread, commit, outgoing, offsets, group)
        except Aborted:
            self._metrics.aborted()
            raise
        except Uncertain:
            self._metrics.uncertain()
            if not await self._went_through(offsets):
                raise
            return 0.0

    def _put_back(self, batch: Batch) -> None:
        self._bytes += sum(slot.bytes() for slot in self._lanes.put_back(batch))
        self._finished.set()

    def _bear(self, failure: Aborted | Uncertain) -> None:
        """Go on after a failed commit; not for ever."""
        self._aborts += 1
        log.warning(
            "nothing committed, trying again",
            extra={"stage": self._stage, "error": str(failure), "in_a_row": self._aborts},
        )
        if self._aborts >= _ABORTS:
            raise BrokerError(f"{self._aborts} commits failed in a row, at last: {failure}")

    async def _commit_plainly(self, offsets: Mapping[tuple[str, int], int]) -> None:
        try:
            await self._membership.commit(_places(offsets))
        except KafkaException as error:
            self._metrics.aborted()
            raise Aborted(error.args[0].str()) from error

    async def _went_through(self, offsets: Mapping[tuple[str, int], int]) -> bool:
        """Whether a transaction of unknown outcome did: for all of it, or for none."""
        found = await self._membership.committed(_places(offsets))
        # All, since some may have been taken away meanwhile: there, another goes on and commits.
        return all(each.offset >= offsets[each.topic, each.partition] for each in found)


def _places(offsets: Mapping[tuple[str, int], int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number, at) for (topic, number), at in offsets.items()]
