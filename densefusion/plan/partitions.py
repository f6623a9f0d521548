"""Partitions: the most workers that a stage can use."""

from __future__ import annotations

import math
from collections.abc import Iterator

HEADROOM = 2.0  # times the workers of today: partitions are hard to change, keys would move
MOST = 10_000  # that `densefusion topics create` makes
_LEAST = 4


def sizes() -> Iterator[int]:
    """4, 6, 8, 12, 16, 24, ...: many ways to share them out evenly."""
    size = _LEAST
    while True:
        yield size
        yield size * 3 // 2
        size *= 2


def choose(workers: float) -> int:
    """Partitions for so many workers of the largest stage (a fraction, before rounding up)."""
    return next(size for size in sizes() if size >= workers * HEADROOM)


def fewest(units: float, partitions: int) -> int | None:
    """The fewest workers that do `units` workers' worth, where the one with the most partitions
    sets the pace; None: no number does, there are too few partitions."""
    if units > partitions:
        return None
    # ceil(partitions / workers) may be at most partitions / units.
    share = max(1, math.floor(partitions / units + 1e-9)) if units > 0 else partitions
    return math.ceil(partitions / share)
