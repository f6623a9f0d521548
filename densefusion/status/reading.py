"""The workers' metrics at one moment, and what two such moments say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Reading:
    """Every sample of every worker that answered.

    Attributes:
        at: seconds, of a clock that only this process knows.
        series: name -> labels (with ``instance``) -> value.
        up, down: instances that answered, and those that did not (with the reason).
    """

    at: float
    series: dict[str, dict[Labels, float]] = field(default_factory=lambda: defaultdict(dict))
    up: set[str] = field(default_factory=set)
    down: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, labels: Mapping[str, str], instance: str, value: float) -> None:
        key = tuple(sorted({**labels, "instance": instance}.items()))
        self.series[name][key] = value
        self.up.add(instance)

    def total(self, name: str, *by: str) -> dict[tuple[str, ...], float]:
        """The sum of a metric by some of its labels."""
        return _summed(self.series.get(name, {}).items(), by)

    def highest(self, name: str, *by: str) -> dict[tuple[str, ...], float]:
        """The highest value of a metric by some of its labels."""
        found: dict[tuple[str, ...], float] = {}
        for labels, value in self.series.get(name, {}).items():
            key = _key(labels, by)
            found[key] = max(found.get(key, value), value)
        return found

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of each series of a metric, such as an info metric's."""
        return [dict(labels) for labels in self.series.get(name, {})]


def increase(first: Reading, last: Reading, name: str, *by: str) -> dict[tuple[str, ...], float]:
    """By how much a counter has grown, by some of its labels.

    A counter that fell began anew with its worker; an instance that was not there before counts
    from the next reading on, since nobody knows when it counted what it says.
    """
    before = first.series.get(name, {})
    grown = []
    for labels, value in last.series.get(name, {}).items():
        if dict(labels)["instance"] not in first.up:
            continue
        old = before.get(labels, 0.0)
        grown.append((labels, value - old if value >= old else value))
    return _summed(grown, by)


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """A quantile of a histogram (upper bound -> records up to it), as Prometheus estimates it: a
    straight line within a bucket; what is beyond the last bound is given as that bound."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted = share * total
    low = below = 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return low
            inside = buckets[bound] - below
            return low + (bound - low) * (wanted - below) / inside if inside > 0 else bound
        low, below = bound, buckets[bound]
    return low


def histogram(
    summed: Mapping[tuple[str, ...], float],
) -> dict[str, dict[float, float]]:
    """Buckets by stage, from sums by (stage, le)."""
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for (stage, bound), value in summed.items():
        found[stage][float(bound)] = value
    return dict(found)


def _summed(
    items: Iterable[tuple[Labels, float]], by: tuple[str, ...]
) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for labels, value in items:
        found[_key(labels, by)] += value
    return dict(found)


def _key(labels: Labels, by: tuple[str, ...]) -> tuple[str, ...]:
    given = dict(labels)
    return tuple(given.get(name, "") for name in by)
