"""What a simulation found: of each stage, of the whole, and the images' ages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from densefusion.plan.arrivals import Floats

_SAMPLES = 20_000  # of the images, for the percentiles of ages


@dataclass(slots=True)
class StageResult:
    """What became of a stage.

    Attributes:
        max_lag: images waiting before it, at the most.
        utilisation, peak_utilisation: of the workers that were up: over all, and over the busiest
            ten minutes.
        worker_hours: of workers that were asked for.
        workers: the most, and the fewest, at any time.
    """

    name: str
    max_lag: float
    utilisation: float
    peak_utilisation: float
    worker_hours: float
    workers: tuple[int, int]
    failures: int


@dataclass(slots=True)
class Outcome:
    """A simulation's end. Ages are seconds from arrival to the end of the last stage.

    Attributes:
        drained: seconds after the last arrival until nothing was left; None: never.
        left: images that were still on the way.
        curves: for each stage, what it had done by the end of each step.
    """

    arrived: float
    done: float
    left: float
    drained: float | None
    age_mean: float
    age_p50: float
    age_p95: float
    age_p99: float
    stages: list[StageResult]
    step: float
    curves: dict[str, Floats] = field(default_factory=dict, repr=False)


def by_name(outcome: Outcome) -> Mapping[str, StageResult]:
    """The stages' results."""
    return {each.name: each for each in outcome.stages}


def ages(arrived: Floats, done: Floats, step: float) -> Floats:
    """Of images evenly taken from all: when each was done, less when it came.

    In the middle of a step, on both sides: an image that is done in the step in which it came has
    waited for nothing.
    """
    if done[-1] <= 0:
        return np.empty(0)
    images = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * done[-1]
    return (_when(images, done) - _when(images, arrived)) * step


def _when(images: Floats, curve: Floats) -> Floats:
    """The step, with its fraction, in which a curve comes to each of `images`."""
    after = np.searchsorted(curve, images)
    before = np.where(after > 0, curve[after - 1], 0.0)
    return np.asarray(after + (images - before) / np.maximum(curve[after] - before, 1e-9))


def windows(amounts: Floats, width: int) -> Floats:
    """Sums of each `width` amounts in a row."""
    total = np.concatenate(([0.0], np.cumsum(amounts)))
    return np.asarray(total[width:] - total[:-width])
