"""Readings of brokers and workers over a while, made into snapshots."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from densefusion.status.diagnosis import diagnose
from densefusion.status.groups import Progress
from densefusion.status.reading import Reading, histogram, increase, quantile
from densefusion.status.scrape import Metrics
from densefusion.status.snapshot import Snapshot, Stage

_WINDOW = 60.0  # seconds that rates are taken over


class Brokers(Protocol):
    def read(self) -> dict[str, Progress]: ...


@dataclass(slots=True)
class _Point:
    at: float
    progress: dict[str, Progress]
    reading: Reading | None


class Watch:
    """Takes snapshots; the rates of one are those since up to a minute before.

    Args:
        stages: in the order of the stream.
        metrics: where the workers' metrics are, if anywhere.
        source: names that for people.
    """

    def __init__(
        self,
        bootstrap: str,
        stages: Sequence[str],
        brokers: Brokers,
        metrics: Metrics | None,
        source: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bootstrap = bootstrap
        self._stages = list(stages)
        self._brokers = brokers
        self._metrics = metrics
        self._source = source
        self._clock = clock
        self._points: deque[_Point] = deque()
        self._earlier = metrics.before(_WINDOW) if metrics is not None else None
        self._moved: dict[str, float] = {}  # stage -> when its position changed last
        self._since: float | None = None

    def take(self) -> Snapshot:
        """Raises `BrokerError`, `MetricsAway`, `SettingsError`."""
        progress = self._brokers.read()
        reading = self._metrics.read() if self._metrics is not None else None
        now = self._clock()
        if self._since is None:
            self._since = now
        last = self._points[-1] if self._points else None
        for name, each in progress.items():
            moved = last is not None and each.position != last.progress[name].position
            if moved or not each.waiting or name not in self._moved:
                self._moved[name] = now
        self._points.append(_Point(now, progress, reading))
        while len(self._points) > 2 and now - self._points[1].at >= _WINDOW:
            self._points.popleft()
        return self._snapshot(self._points[0], self._points[-1])

    def _snapshot(self, first: _Point, last: _Point) -> Snapshot:
        seconds = last.at - first.at
        has_metrics = last.reading is not None and bool(last.reading.up or last.reading.down)
        found = Snapshot(
            self._bootstrap,
            datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            seconds,
            self._source if has_metrics else None,
        )
        for name in self._stages:
            each = last.progress[name]
            stage = Stage(name, each.topics, each.done, each.waiting, workers=each.members)
            if seconds > 0:
                stage.committed_rate = (each.position - first.progress[name].position) / seconds
            if each.waiting:
                stage.still = last.at - self._moved[name]
            found.stages.append(stage)
        if last.reading is not None:
            before = self._earlier or first.reading or last.reading
            self._measure(found, before, last.reading)
            found.workers_down = dict(last.reading.down)
        _estimate(found)
        found.stuck = diagnose(found, last.reading)
        if self._earlier is not None and seconds >= _WINDOW:
            self._earlier = None  # what we have read ourselves goes back as far
        return found

    def _measure(self, found: Snapshot, first: Reading, last: Reading) -> None:
        """What the workers' metrics say."""
        seconds = last.at - first.at
        taken = increase(first, last, "densefusion_records_in_total", "stage")
        published = increase(first, last, "densefusion_records_out_total", "stage")
        ages = histogram(increase(first, last, "densefusion_age_seconds_bucket", "stage", "le"))
        ever = histogram(last.total("densefusion_age_seconds_bucket", "stage", "le"))
        lags = last.highest("densefusion_consumer_lag_seconds", "stage")
        flying = last.total("densefusion_in_flight_records", "stage")
        letters = last.total("densefusion_dead_letters_total", "stage")
        running = _workers(last)
        rejects = last.total("densefusion_rejects_total", "stage", "reason")
        found.rejects = {
            (stage, reason): round(number) for (stage, reason), number in rejects.items() if number
        }
        missing = last.total("densefusion_missing_priors_total", "expert")
        found.missing = {expert: round(number) for (expert,), number in missing.items() if number}
        for stage in found.stages:
            key = (stage.name,)
            if seconds > 0 and stage.name in running:
                stage.rate_in = taken.get(key, 0.0) / seconds
                stage.rate_out = published.get(key, 0.0) / seconds
            for buckets in (ages.get(stage.name, {}), ever.get(stage.name, {})):
                if stage.age_p50 is None:
                    stage.age_p50 = quantile(0.5, buckets)
                    stage.age_p95 = quantile(0.95, buckets)
            lag = lags.get(key)
            stage.lag = lag if lag is not None and lag >= 0 and stage.waiting else None
            stage.in_flight = round(flying[key]) if key in flying else None
            stage.dead_letters = round(letters.get(key, 0))
            stage.rejects = sum(n for (name, _), n in found.rejects.items() if name == stage.name)
            if stage.name in running:
                stage.workers = max(stage.workers or 0, len(running[stage.name]))
            elif stage.workers is None and last.up:
                stage.workers = 0


def _workers(reading: Reading) -> dict[str, set[str]]:
    """Stage -> instances of it that answer."""
    found: dict[str, set[str]] = {}
    for name in ("densefusion_worker_ready", "densefusion_records_in_total"):
        for labels in reading.labels(name):
            found.setdefault(labels.get("stage", ""), set()).add(labels["instance"])
    return found


def _estimate(found: Snapshot) -> None:
    """How long what waits will take: a stage that is behind does what waits before it, and before
    all stages ahead of it, at its present rate; the slowest decides."""
    ahead = 0  # waits in front of the stages that all records pass before this one
    beside = 0  # the most that waits in front of any of those that work side by side
    unknown = False
    for number, stage in enumerate(found.stages):
        last = number >= len(found.stages) - 1
        work = stage.waiting + ahead + (beside if last else 0)
        found.waiting = work  # at last: everything that has not ended
        rate = stage.committed_rate
        if stage.waiting and rate:
            stage.eta = work / rate
            if found.eta is None or stage.eta > found.eta:
                found.eta, found.bottleneck = stage.eta, stage.name
        elif not work:
            stage.eta = 0.0
        elif stage.waiting:
            unknown = True
        if stage.name in ("fetch", "curate"):
            ahead += stage.waiting
        else:
            beside = max(beside, stage.waiting)
    if unknown:
        found.eta = None
    elif found.eta is None and not found.waiting:
        found.eta = 0.0
