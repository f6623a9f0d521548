"""The loop: read the lag, ask the rules, start and stop workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from densefusion.plan.autoscaler import Autoscaler, LagReader, Offsets
from tests.autoscaling.targets import Target, Trigger


class Fleet(Protocol):
    """Workers by target."""

    def resize(self, target: str, size: int) -> None: ...


@dataclass(slots=True)
class Sample:
    """One look.

    Attributes:
        at: seconds since the loop's start.
        lags: of each target: of its triggers' sums, the one that its rules act on.
        asked: workers that there should be from now on.
    """

    at: float
    lags: dict[str, int]
    asked: dict[str, int]


@dataclass(slots=True)
class _Scaled:
    target: Target
    scaler: Autoscaler
    readers: dict[Trigger, LagReader]
    asked: int


@dataclass(slots=True)
class Loop:
    """Scales every target. Starts each at its minimum.

    Args:
        read: the offsets of triggers, now.
        clock: seconds; does not go back.
    """

    targets: Sequence[Target]
    partitions: int
    read: Callable[[Iterable[Trigger]], Mapping[Trigger, Offsets]]
    fleet: Fleet
    clock: Callable[[], float]
    samples: list[Sample] = field(default_factory=list)
    _scaled: list[_Scaled] = field(default_factory=list)
    _began: float = 0.0

    def start(self) -> None:
        self._began = self.clock()
        for target in self.targets:
            rules = target.rules
            readers = {each: LagReader(rules.exclude_persistent) for each in target.triggers}
            self._scaled.append(
                _Scaled(target, Autoscaler(rules, self.partitions), readers, rules.minimum)
            )
            self.fleet.resize(target.name, rules.minimum)

    def step(self) -> Sample:
        """One look at everything. Raises what `read` raises; nothing has changed then."""
        offsets = self.read(trigger for target in self.targets for trigger in target.triggers)
        now = self.clock()
        sample = Sample(now - self._began, {}, {})
        for each in self._scaled:
            found = [reader.read(offsets[at]) for at, reader in each.readers.items()]
            scaling, activating = ([lag[side] for lag in found] for side in (0, 1))
            wanted = each.scaler.decide(now, scaling, activating, each.asked)
            if wanted != each.asked:
                each.asked = wanted
                self.fleet.resize(each.target.name, wanted)
            acted_on = max if each.target.rules.combine == "max" else min
            sample.lags[each.target.name] = acted_on(scaling)
            sample.asked[each.target.name] = each.asked
        self.samples.append(sample)
        return sample

    @property
    def at_minimum(self) -> bool:
        return all(each.asked == each.target.rules.minimum for each in self._scaled)
