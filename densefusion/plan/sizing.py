"""The plan: workers, partitions, GPUs, brokers and stores for a request."""

from __future__ import annotations

import math
from dataclasses import dataclass

from densefusion.errors import SettingsError
from densefusion.plan import partitions as partitioning
from densefusion.plan.autoscaler import Rules
from densefusion.plan.costs import Costs, Figure
from densefusion.plan.request import BILLION, Request
from densefusion.plan.simulation import StageModel, useful
from densefusion.plan.storage import Storage, storage
from densefusion.plan.workers import WorkerModel, stage_names, worker

_MEMORY = 1.25  # a worker's limit over its measured peak
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage's share of the plan.

    Attributes:
        workers: at the peak; `idle`: the fewest that an autoscaler keeps.
        capacity: images a second that the workers do, if all are busy.
        gpus: whole ones, for this stage alone.
        lag_threshold: KEDA's ``lagThreshold`` for it, in records of its topic.
    """

    model: WorkerModel
    workers: int
    idle: int
    capacity: float
    cores: int
    gpus: int
    memory_gb: float
    lag_threshold: int

    def rules(self) -> Rules:
        """How an autoscaler would run it, with KEDA's and the HPA's own periods; in images, which
        is what a simulation counts in."""
        in_images = max(1, round(self.lag_threshold / self.model.records))
        return Rules(
            in_images, minimum=self.idle, maximum=self.workers,
            combine="min" if self.model.stage == "fusion" else "max",
        )  # fmt: skip

    def simulated(self, *, workers: int | None = None, scaled: bool = False) -> StageModel:
        """For `simulate`: fixed workers, or an autoscaler that starts from the fewest."""
        model = self.model
        count = workers if workers is not None else self.idle if scaled else self.workers
        return StageModel(
            model.stage, model.rate, count, model.after, model.latency, model.start_seconds,
            self.rules() if scaled else None, markers=model.stage != "fetch",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption server's share: GPUs, and output tokens a second at the peak."""

    gpus: int
    tokens_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer.

    Attributes:
        assumptions: figures that it rests on and that were not measured on this project.
        dollars_a_day: None where no price was given.
    """

    request: Request
    partitions: int
    stages: list[StagePlan]
    captions: Caption | None
    storage: Storage
    assumptions: dict[str, Figure]
    measured: dict[str, Figure]
    dollars_a_day: float | None

    @property
    def cores(self) -> int:
        return sum(each.cores for each in self.stages)

    @property
    def gpus(self) -> int:
        return sum(each.gpus for each in self.stages) + (self.captions.gpus if self.captions else 0)

    @property
    def memory_gb(self) -> float:
        return sum(each.memory_gb for each in self.stages)

    @property
    def capacity(self) -> float:
        """Images a second that the narrowest stage does."""
        return min(each.capacity for each in self.stages)

    @property
    def days_to_a_billion(self) -> tuple[float, float]:
        """At the rate asked for, and with every worker busy all day."""
        return BILLION / self.request.images_per_day, BILLION / self.capacity / 86_400


def plan(request: Request, costs: Costs) -> Plan:
    """The plan for a request.

    Raises:
        SettingsError: a figure is missing, or the partitions asked for are too few; the message
            says for which stage.
    """
    unknown = sorted(set(request.on_cpu) - set(costs.experts()))
    if unknown:
        raise SettingsError(f"no expert {', '.join(unknown)}; {', '.join(costs.experts())}")
    count = request.partitions or _partitions(request, costs)
    if count > partitioning.MOST:
        raise SettingsError(
            f"that takes {count:,} partitions, and a stream has {partitioning.MOST:,} at the most: "
            "plan several streams (DENSEFUSION_KAFKA__PREFIX), or faster workers"
        )
    stages = [_stage(name, request, costs, count) for name in stage_names(costs)]
    captions = None
    if request.captions == "openai":
        assert request.tokens_per_second is not None
        tokens = request.peak * costs("captions.tokens_out")
        gpus = math.ceil(tokens / request.utilisation / request.tokens_per_second)
        captions = Caption(gpus, tokens)
    stored = storage(request, costs, count, stages[-1].model)
    used = {name: each for name, each in costs.used.items() if name.partition(".")[0] != "gpus"}
    return Plan(
        request, count, stages, captions, stored,
        {name: each for name, each in used.items() if each.kind != "measured"},
        {name: each for name, each in used.items() if each.kind == "measured"},
        _dollars(request, stages, captions, stored),
    )  # fmt: skip


def _partitions(request: Request, costs: Costs) -> int:
    """The dataset's cost depends on the partitions, and they on the largest stage: a few rounds."""
    count = 4
    for _ in range(_ROUNDS):
        models = [worker(name, request, costs, count) for name in stage_names(costs)]
        found = partitioning.choose(max(request.needed / each.rate for each in models))
        if found <= count:
            break
        count = found
    return count


def _stage(name: str, request: Request, costs: Costs, count: int) -> StagePlan:
    model = worker(name, request, costs, count)
    workers = partitioning.fewest(request.needed / model.rate, count)
    if workers is None:
        raise SettingsError(
            f"{count} partitions are too few: {name} needs "
            f"{math.ceil(request.needed / model.rate)} workers, and no partition has two"
        )
    threshold = max(1, round(model.rate * model.records * request.lag_seconds))
    # Each partition of a topic that is written in transactions keeps a lag of one for ever. The
    # fewest workers are those which that alone would ask for.
    idle = min(workers, max(1, math.ceil(count / threshold)))
    return StagePlan(
        model, workers, idle, useful(workers, count) * model.rate,
        math.ceil(workers * model.cores), math.ceil(workers * model.gpu - 1e-9),
        workers * model.memory_mb * _MEMORY / 1000, threshold,
    )  # fmt: skip


def _dollars(
    request: Request, stages: list[StagePlan], captions: Caption | None, stored: Storage
) -> float | None:
    """Of a day: everything at the size of the peak, all day; and what the day's objects cost a
    month."""
    prices = request.prices
    if not prices.any:
        return None
    cores = sum(each.cores for each in stages) + stored.store_cores + stored.broker_cores
    gpus = sum(each.gpus for each in stages) + (captions.gpus if captions else 0)
    return (
        24 * cores * (prices.core_hour or 0)
        + 24 * gpus * (prices.gpu_hour or 0)
        + (stored.stored_gb_day + stored.kafka_disk_gb / 30) * (prices.gb_month or 0)
    )
