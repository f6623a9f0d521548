"""How far a worker is behind, in records and in seconds, for each of its partitions.

Reckoned from what the worker has committed, and from the ends of the partitions as the client last
saw them. Whoever commits in transactions leaves a marker, which has an offset too, behind each; so
a partition whose end has been fetched, and of which nothing is in work, has no lag.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping

from consumers.client_stats import Fetching
from consumers.lanes import Lanes
from consumers.source import Source, TopicPartition
from densefusion import metrics


class Lag:
    """The lag of one worker. All calls from the event loop's thread.

    Args:
        stage: name of the stage, for metrics.
        lanes: what is in work.
        source: what was polled.
    """

    def __init__(self, stage: str, lanes: Lanes, source: Source) -> None:
        self._stage = stage
        self._lanes = lanes
        self._source = source
        self._stands: dict[TopicPartition, int] = {}
        # Behind with nothing in hand and no progress, since then.
        self._since: dict[TopicPartition, float] = {}

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The group stands there now."""
        for place, offset in offsets.items():
            if offset > self._stands.get(place, -1):
                self._since.pop(place, None)
        self._stands.update(offsets)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """These are another worker's to tell."""
        for place in partitions:
            self._stands.pop(place, None)
            self._since.pop(place, None)
            labels = self._labels(place)
            for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS):
                with contextlib.suppress(KeyError):
                    gauge.remove(*labels)

    def measure(
        self, partitions: Mapping[TopicPartition, Fetching], ours: set[TopicPartition]
    ) -> None:
        """Set the gauges of the partitions that are `ours`."""
        now, clock = time.time(), time.monotonic()
        oldest = {**self._source.oldest(), **self._lanes.oldest()}
        for place in ours & partitions.keys():
            fetching = partitions[place]
            held = [oldest[lane] for lane in self._source.lanes({place}) if lane in oldest]
            records = self._records(place, fetching, empty=not held)
            seconds = 0.0
            if not records:
                self._since.pop(place, None)
            elif held:
                seconds = max(0.0, now - min(held) / 1000)
            else:
                seconds = clock - self._since.setdefault(place, clock)
            labels = self._labels(place)
            metrics.LAG_RECORDS.labels(*labels).set(records)
            metrics.LAG_SECONDS.labels(*labels).set(seconds)

    def _records(self, place: TopicPartition, fetching: Fetching, *, empty: bool) -> int:
        following = fetching.following
        fetched = not fetching.queued and following >= fetching.end >= 0
        if fetching.end < 0 or (empty and fetched):
            return 0
        stands = self._stands.get(place, fetching.committed)
        if stands < 0:  # nobody knows yet; of what is in hand, one record at least is not done
            stands = following - (not empty)
        # The embedded broker's end may be behind what was fetched already.
        return max(0, max(fetching.end, following) - stands) if stands >= 0 else 0

    def _labels(self, place: TopicPartition) -> tuple[str, str, str]:
        return self._stage, place[0], str(place[1])
