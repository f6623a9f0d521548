"""What a worker says of itself, beside its records: partitions, lag, idleness, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from consumers.client_stats import ClientStats
from consumers.lag import Lag
from consumers.lanes import Lanes
from consumers.pulse import Pulse
from consumers.source import Source, TopicPartition
from densefusion import metrics


class Vitals:
    """The metrics and the health of one worker. All calls from the event loop's thread.

    Args:
        stats: what the worker's consumer tells of itself; without it there is no lag.
        ours: the partitions that are the worker's now.
        stuck_after: seconds without a poll, after which the worker counts as stuck.
    """

    def __init__(
        self,
        stage: str,
        lanes: Lanes,
        source: Source,
        stats: ClientStats | None,
        ours: Callable[[], set[TopicPartition]],
        stuck_after: float,
    ) -> None:
        self.pulse = Pulse(stage, stuck_after)
        self._lag = Lag(stage, lanes, source)
        self._stats = stats
        self._ours = ours
        self._assigned = metrics.ASSIGNED.labels(stage)
        self._rebalances = metrics.REBALANCES.labels(stage)
        self._idle = metrics.STEP_SECONDS.labels(stage, "input")
        metrics.IN_FLIGHT.labels(stage).set_function(lanes.__len__)

    def opened(self) -> None:
        """The stage is open; the group is asked for partitions."""
        if (stats := self._stats) is not None:
            loop = asyncio.get_running_loop()

            def told() -> None:  # in the polling thread
                loop.call_soon_threadsafe(self._told, stats)

            stats.told = told
        self.pulse.opened()

    def idle(self, seconds: float) -> None:
        """Nothing was in work for so long."""
        self._idle.inc(seconds)

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        ours = self._ours()  # what has been lost meanwhile is another worker's to tell
        self._lag.committed({place: at for place, at in offsets.items() if place in ours})

    def assigned(self, stands: Mapping[TopicPartition, int]) -> None:
        """`stands`: what was committed of the partitions that are ours, negative for nothing."""
        self.committed({place: at for place, at in stands.items() if at >= 0})
        self._rebalances.inc()
        self._assigned.set(len(self._ours()))
        self.pulse.joined()

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        gone = set(partitions)
        self._lag.revoked(gone)
        self._assigned.set(len(self._ours() - gone))

    def _told(self, stats: ClientStats) -> None:
        self._lag.measure(stats.partitions, self._ours())
        self.pulse.heard(stats)
