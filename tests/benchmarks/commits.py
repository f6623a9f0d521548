"""Watches a group's commits: how fast they go on, and how long they stand still."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass

import brokers

_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """What was committed, by partition, at a time (`time.time`)."""

    at: float
    offsets: list[int]


class Watch:
    """Samples the committed offsets of a group in a thread of its own."""

    def __init__(self, committed: brokers.Committed) -> None:
        self._committed = committed
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join(40)

    def rate(self, since: float, until: float) -> float:
        """Records a second, from the first commit in that time to the last."""
        inside = [each for each in self.samples if since <= each.at <= until]
        changes = [
            (after.at, sum(after.offsets))
            for before, after in itertools.pairwise(inside)
            if after.offsets != before.offsets
        ]
        if len(changes) < 2:
            return 0.0
        (first, begun), (last, ended) = changes[0], changes[-1]
        return (ended - begun) / (last - first)

    def longest_pause(self, since: float, until: float) -> tuple[float, float]:
        """Seconds without a commit: of any partition, and of the one that stood still longest."""
        inside = [each for each in self.samples if since <= each.at <= until]
        if not inside:
            return 0.0, 0.0
        overall = _longest([(each.at, sum(each.offsets)) for each in inside])
        partitions = range(len(inside[0].offsets))
        each = (_longest([(s.at, s.offsets[number]) for s in inside]) for number in partitions)
        return overall, max(each)

    def _watch(self) -> None:
        while not self._ending.wait(_EVERY):
            offsets = self._committed.by_partition()
            self.samples.append(Sample(time.time(), offsets))


def _longest(values: list[tuple[float, int]]) -> float:
    """The longest time in which a value stayed the same."""
    longest, since, last = 0.0, values[0][0], values[0][1]
    for at, value in values:
        longest = max(longest, at - since)
        if value != last:
            since, last = at, value
    return longest
