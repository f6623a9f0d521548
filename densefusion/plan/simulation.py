"""A fluid simulation of the stream: what a plan's workers, and an autoscaler over them, do with a
day's arrivals.

Images are an amount, not objects, so that a billion of them cost no more than a thousand. Each
stage takes in steps of time what has arrived, as far as its workers can. All counts are in images
that end in a caption: what is rejected on the way is in the stages' rates. Ages come from the
curves of what has arrived and what is done by when, first in, first out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densefusion.plan.arrivals import DAY, Floats, Load
from densefusion.plan.autoscaler import Autoscaler, Rules
from densefusion.plan.outcome import Outcome, StageResult, ages, windows

_MOST_STEPS = 120_000
_PEAK_SECONDS = 600.0  # over which the busiest utilisation is taken


@dataclass(frozen=True, slots=True)
class StageModel:
    """A stage of the stream.

    Attributes:
        after: stages whose outputs it waits for, all of them; none: it reads what arrives.
        rate: images a second that one busy worker does.
        workers: at the start, and throughout where there are no `rules`.
        latency: seconds that one image takes when nothing is before it.
        start_seconds: from the decision to start a worker until it works.
        rules: how it is scaled, if it is.
        markers: its topic is written in transactions: an autoscaler sees one record too many on
            each partition.
    """

    name: str
    rate: float
    workers: int
    after: tuple[str, ...] = ()
    latency: float = 0.0
    start_seconds: float = 0.0
    rules: Rules | None = None
    markers: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong, and what change costs.

    Attributes:
        failures: of one worker in a day, on average.
        restart_seconds: until its work goes on: the session's time-out and a new start.
        rebalance_seconds: that a group stands still when its members change.
    """

    failures: float = 0.0
    restart_seconds: float = 60.0
    rebalance_seconds: float = 3.0


def simulate(
    stages: Sequence[StageModel],
    load: Load,
    partitions: int,
    *,
    trouble: Trouble = Trouble(),
    seed: int | None = 1,
    step: float | None = None,
    patience: float = DAY / 4,
) -> Outcome:
    """Run `load` through `stages`, which stand in the order of the stream.

    Args:
        partitions: of each topic; they cap what workers are of use.
        seed: of chance; None for none, neither in arrivals nor in failures.
        step: seconds; the smallest that is quick enough where it is not given.
        patience: seconds after the last arrival that the stream has to drain.
    """
    step = step or default_step(load.seconds + patience)
    random = None if seed is None else np.random.default_rng(seed)
    incoming = load.arrivals(step, random)
    running = {each.name: _Stage(each, partitions, trouble, step, random) for each in stages}
    order = [(each, [running[name] for name in each.model.after]) for each in running.values()]
    total, here = 0.0, len(incoming)
    most = here + int(patience / step)
    amounts = incoming.tolist()
    number, drained = 0, None
    while number < most:
        total += amounts[number] if number < here else 0.0
        number += 1
        now = number * step
        for stage, before in order:
            stage.advance(now, min(each.done for each in before) if before else total)
        if number >= here and order[-1][0].done >= total - 0.5:
            drained = (number - here) * step
            break
    return _outcome(list(running.values()), np.cumsum(incoming), drained, step, stages)


def default_step(seconds: float) -> float:
    """A second; more where that would be more steps than take a few seconds."""
    return max(1.0, math.ceil(seconds / _MOST_STEPS))


class _Stage:
    """One stage while it runs. A step is a few additions: there are a million of them."""

    def __init__(
        self,
        model: StageModel,
        partitions: int,
        trouble: Trouble,
        step: float,
        random: np.random.Generator | None,
    ) -> None:
        self.model = model
        self.done = self.max_lag = self.worker_seconds = 0.0
        self.history: list[float] = []
        self.offered: list[float] = []
        self.failed = 0
        self.most = self.fewest = self._asked = self._ready = model.workers
        self._partitions = partitions
        self._markers = partitions if model.markers else 0
        self._trouble = trouble
        self._step = step
        self._random = random
        # The chance of a worker to fail in a step; the wait for the next is exponential in it.
        self._hazard = trouble.failures * step / DAY if random is not None else 0.0
        self._until_failure = self._next_failure()
        self._starting: deque[tuple[float, int]] = deque()  # ready at, how many
        self._paused = 0.0  # seconds of standing still that are not over
        self._scaler = Autoscaler(model.rules, partitions) if model.rules is not None else None
        self._every = min(model.rules.sync, model.rules.polling) if model.rules is not None else 0.0
        self._decides = 0.0
        self._capacity = self._per_step()

    def advance(self, now: float, arrived: float) -> None:
        if self._starting and self._starting[0][0] <= now:
            self._come_up(now)
        if self._hazard > 0.0:
            self._until_failure -= self._hazard * self._ready
            if self._until_failure <= 0.0:
                self._fail(now)
        able = self._capacity
        if self._paused > 0.0:
            lost = min(self._paused, self._step)
            self._paused -= lost
            able *= 1 - lost / self._step
        waiting = arrived - self.done
        self.max_lag = max(self.max_lag, waiting)
        self.done = arrived if waiting <= able else self.done + able
        self.history.append(self.done)
        self.offered.append(able)
        self.worker_seconds += self._asked * self._step
        if self._scaler is not None and now >= self._decides:
            self._decides = now + self._every
            lag = int(arrived - self.done) + self._markers
            wanted = self._scaler.decide(now, (lag,), (lag,), self._asked)
            if wanted != self._asked:
                self._scale(now, wanted)

    def _per_step(self) -> float:
        return useful(self._ready, self._partitions) * self.model.rate * self._step

    def _change(self, ready: int) -> None:
        self._ready = ready
        self._capacity = self._per_step()
        self._paused = self._trouble.rebalance_seconds

    def _come_up(self, now: float) -> None:
        ready = self._ready
        while self._starting and self._starting[0][0] <= now:
            ready += self._starting.popleft()[1]
        self._change(ready)

    def _scale(self, now: float, wanted: int) -> None:
        if wanted > self._asked:
            self._starting.append((now + self.model.start_seconds, wanted - self._asked))
        else:
            surplus = self._asked - wanted
            while surplus and self._starting:  # those that are not up yet go first
                at, number = self._starting.pop()
                gone = min(surplus, number)
                surplus -= gone
                if number > gone:
                    self._starting.append((at, number - gone))
            if surplus:
                self._change(self._ready - surplus)
        self._asked = wanted
        self.most, self.fewest = max(self.most, wanted), min(self.fewest, wanted)

    def _next_failure(self) -> float:
        return math.inf if self._random is None else float(self._random.exponential())

    def _fail(self, now: float) -> None:
        failed = 0
        while self._until_failure <= 0.0:
            self._until_failure += self._next_failure()
            failed += 1
        failed = min(failed, self._ready)
        self.failed += failed
        self._starting.append((now + self._trouble.restart_seconds, failed))
        self._starting = deque(sorted(self._starting))
        self._change(self._ready - failed)


def useful(workers: int, partitions: int) -> float:
    """Workers' worth of throughput: the one with the most partitions sets the pace of all.

    With 8 partitions, 5 workers do no more than 4: somebody has two.
    """
    return 0.0 if workers <= 0 else partitions / math.ceil(partitions / min(workers, partitions))


def _outcome(
    running: Sequence[_Stage],
    arrived: Floats,
    drained: float | None,
    step: float,
    stages: Sequence[StageModel],
) -> Outcome:
    done = np.asarray(running[-1].history)
    found = ages(arrived, done, step) + _latency(stages)
    p50, p95, p99 = np.percentile(found, [50, 95, 99]) if len(found) else (math.nan,) * 3
    total = float(arrived[-1])
    return Outcome(
        total, float(done[-1]), total - float(done[-1]), drained,
        float(found.mean()) if len(found) else math.nan, float(p50), float(p95), float(p99),
        [_result(each, step, len(arrived)) for each in running],
        step, {each.model.name: np.asarray(each.history) for each in running},
    )  # fmt: skip


def _latency(stages: Sequence[StageModel]) -> float:
    """Seconds along the longest way through the stages."""
    ends: dict[str, float] = {}
    for each in stages:
        ends[each.name] = each.latency + max((ends[name] for name in each.after), default=0.0)
    return ends[stages[-1].name]


def _result(stage: _Stage, step: float, steps: int) -> StageResult:
    """Utilisation is of the time in which images came in, not of the drain at the end."""
    work = np.diff(np.asarray(stage.history), prepend=0.0)[:steps]
    able = np.asarray(stage.offered)[:steps]
    width = min(len(work), max(1, round(_PEAK_SECONDS / step)))
    busiest = windows(work, width) / np.maximum(windows(able, width), 1e-9)
    return StageResult(
        stage.model.name, stage.max_lag, float(work.sum() / max(able.sum(), 1e-9)),
        float(busiest.max()), stage.worker_seconds / 3600, (stage.most, stage.fewest), stage.failed,
    )  # fmt: skip
