"""Partitions that the client has silently ceased to fetch.

After brokers went away and came back, librdkafka may stop fetching a partition for good, without an
error, until its consumer is made anew (librdkafka issue 5153). The worker would poll on, and wait
for ever. So where nothing has come of a partition for a while, its end is asked of the brokers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from consumers.client_stats import Fetching
from consumers.source import TopicPartition

# Longer than an open transaction can hold readers up (`clients.TRANSACTION_SECONDS`).
_QUIET_SECONDS = 60.0
_ASKED_AT_ONCE = 4


class Stalled:
    """Watches the partitions of one consumer.

    Args:
        end: the end of what is committed in a partition, as the brokers say; None where they do not
            answer. It may block for a moment.
    """

    def __init__(self, end: Callable[[TopicPartition], int | None]) -> None:
        self._end = end
        self._stood: dict[TopicPartition, tuple[int, float]] = {}  # at this offset since then
        self._behind: set[TopicPartition] = set()  # when they were last asked about

    def look(
        self, partitions: Mapping[TopicPartition, Fetching], paused: set[TopicPartition]
    ) -> set[TopicPartition]:
        """Those that have stalled: behind twice in a row, with nothing fetched in between."""
        now = time.monotonic()
        quiet = self._quiet(partitions, paused, now)
        stalled = set()
        for place in quiet[:_ASKED_AT_ONCE]:
            following = partitions[place].following
            end = self._end(place)
            if end is None or end <= following:
                self._behind.discard(place)
                self._stood[place] = (following, now)  # asked again when as much time has passed
            elif place in self._behind:
                stalled.add(place)
            else:
                self._behind.add(place)
        return stalled

    def _quiet(
        self, partitions: Mapping[TopicPartition, Fetching], paused: set[TopicPartition], now: float
    ) -> list[TopicPartition]:
        """Those of which nothing has come for a while, though it could; the quietest first."""
        stood = {}
        for place, fetching in partitions.items():
            since = now
            known = self._stood.get(place)
            idle = place not in paused and not fetching.queued and fetching.following >= 0
            if known is not None and idle and known[0] == fetching.following:
                since = known[1]
            else:
                self._behind.discard(place)
            stood[place] = (fetching.following, since)
        self._stood = stood
        self._behind &= stood.keys()
        quiet = [place for place, (_, since) in stood.items() if now - since >= _QUIET_SECONDS]
        return sorted(quiet, key=lambda place: stood[place][1])

    def forget(self) -> None:
        """There is a new consumer."""
        self._stood.clear()
        self._behind.clear()
