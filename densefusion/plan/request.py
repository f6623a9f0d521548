"""What a plan is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from densefusion.errors import SettingsError

DAY = 86_400.0
BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars. None: not asked for."""

    core_hour: float | None = None
    gpu_hour: float | None = None
    gb_month: float | None = None

    @property
    def any(self) -> bool:
        return any(each is not None for each in (self.core_hour, self.gpu_hour, self.gb_month))


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted.

    Attributes:
        images_per_day: that end in a caption, on average.
        gpu: kind of the experts' GPUs; None: they run on the CPU, as the profile `starter` does.
        on_cpu: experts that run on the CPU all the same.
        tokens_per_second: of output, of one caption GPU at its full load.
        peak_factor: the busiest moment of a day over its average.
        utilisation: of a stage's workers at that moment.
        partitions: of every topic; None: chosen.
        lag_seconds: of work for one worker, that an autoscaler lets wait.
        max_age: seconds from URL to dataset that 99 of 100 images must stay under.

    Raises:
        SettingsError: one does not make sense.
    """

    images_per_day: float
    gpu: str | None = None
    on_cpu: tuple[str, ...] = ()
    captions: Literal["compose", "openai"] = "compose"
    tokens_per_second: float | None = None
    peak_factor: float = 2.0
    utilisation: float = 0.7
    partitions: int | None = None
    lag_seconds: float = 30.0
    max_age: float = 600.0
    prices: Prices = Prices()

    def __post_init__(self) -> None:
        if not 0 < self.images_per_day <= 1e12 or not math.isfinite(self.images_per_day):
            raise SettingsError("--images-per-day: more than 0, at most 1e12")
        if not 1 <= self.peak_factor <= 50:
            raise SettingsError("--peak-factor: from 1 (flat) to 50")
        if not 0.05 <= self.utilisation <= 0.95:
            raise SettingsError("--utilisation: from 0.05 to 0.95; a full queue never empties")
        if self.captions == "openai" and not self.tokens_per_second:
            raise SettingsError(
                "--captions openai needs --tokens-per-second: output tokens of one GPU of your "
                "caption server at full load, as `vllm bench serve` prints them"
            )

    @property
    def mean(self) -> float:
        """Images a second, on average."""
        return self.images_per_day / DAY

    @property
    def peak(self) -> float:
        """Images a second at the busiest moment."""
        return self.mean * self.peak_factor

    @property
    def needed(self) -> float:
        """Images a second that each stage must be able to do."""
        return self.peak / self.utilisation
