"""Arrivals: a rate that swings with the hour, chance, and a burst."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DAY = 86_400.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in.

    Attributes:
        per_day: images a day, on average.
        peak_factor: the busiest moment of a day over its average; 1 is flat.
        burst: further images, all at once at `burst_at` seconds.
        seconds: for so long.
    """

    per_day: float
    peak_factor: float = 1.0
    burst: float = 0.0
    burst_at: float = 0.0
    seconds: float = DAY

    def rate(self, at: Floats) -> Floats:
        """Images a second at times in seconds. The day begins at its quietest.

        A von Mises curve: smooth, never negative, and its mean is the day's.
        """
        spread = _concentration(self.peak_factor)
        shape = np.exp(-spread * np.cos(2 * np.pi * at / DAY)) / np.i0(spread)
        return np.asarray(self.per_day / DAY * shape, np.float64)

    def arrivals(self, step: float, random: np.random.Generator | None) -> Floats:
        """Images that arrive in each step.

        Args:
            random: for a Poisson process; None for its mean, to the fraction.
        """
        steps = int(np.ceil(self.seconds / step))
        middles: Floats = np.arange(steps, dtype=np.float64) + 0.5
        expected = self.rate(middles * step) * step
        found = expected if random is None else random.poisson(expected).astype(np.float64)
        if self.burst:
            found[min(steps - 1, int(self.burst_at / step))] += self.burst
        return found


@lru_cache(64)
def _concentration(peak_factor: float) -> float:
    """Of the von Mises curve whose highest point is so many times its mean: by bisection."""
    if peak_factor <= 1:
        return 0.0
    low, high = 0.0, 600.0  # exp() ends at 709; the peak factor of 600 is 61
    for _ in range(80):
        middle = (low + high) / 2
        if np.exp(middle) / np.i0(middle) < peak_factor:
            low = middle
        else:
            high = middle
    return float(low)
