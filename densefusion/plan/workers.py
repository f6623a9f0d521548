"""What one worker of each stage does in a second, and what it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from densefusion.errors import SettingsError
from densefusion.plan.costs import Costs
from densefusion.plan.request import Request

_MOST_REQUESTS = 256  # to the caption server at the same time, of one worker


@dataclass(frozen=True, slots=True)
class WorkerModel:
    """One worker.

    Attributes:
        rate: images a second, of those that end in a caption.
        gpu: share of one GPU that it keeps busy; 0: none.
        limit: what keeps it from more.
        latency: seconds that an image takes in it when nothing waits.
        records: of its topic, for each image that ends in a caption.
        setting: one to set for it to be so.
        flush: of the dataset: seconds between rewrites of an open shard.
    """

    stage: str
    rate: float
    cores: float
    gpu: float
    memory_mb: float
    latency: float
    start_seconds: float
    limit: str
    after: tuple[str, ...]
    records: float = 1.0
    setting: tuple[str, str] | None = None
    flush: float | None = None


def stage_names(costs: Costs) -> list[str]:
    return ["fetch", "curate", *costs.experts(), "fusion", "dataset"]


def worker(stage: str, request: Request, costs: Costs, partitions: int) -> WorkerModel:
    """The worker of a stage.

    Raises:
        SettingsError: a figure is missing.
    """
    experts = costs.experts()
    if stage == "fetch":
        return _fetch(costs)
    if stage == "curate":
        records = 1 / costs("images.kept_share")
        per_second = 1000 / costs("stages.curate.cpu_ms") / records
        curate = replace(_plain(costs, stage, per_second, "CPU", ("fetch",)), records=records)
        return _as_it_went(costs, curate)
    if stage in experts:
        on_gpu = request.gpu if stage not in request.on_cpu else None
        if on_gpu is not None and f"stages.{stage}.gpu_rate" in costs.figures:
            return _on_gpu(costs, stage, on_gpu)
        by_cpu = 1000 / costs(f"stages.{stage}.cpu_ms")
        return _as_it_went(costs, _plain(costs, stage, by_cpu, "CPU", ("curate",)))
    if stage == "fusion":
        return _fusion(costs, request, tuple(experts))
    return _dataset(costs, request, partitions)


def _plain(
    costs: Costs, stage: str, rate: float, limit: str, after: tuple[str, ...], latency: float = 0.0
) -> WorkerModel:
    return WorkerModel(
        stage, rate, 1.0, 0.0, costs(f"stages.{stage}.memory_mb"), latency or 1 / rate,
        costs(f"stages.{stage}.start_seconds"), limit, after,
    )  # fmt: skip


def _as_it_went(costs: Costs, model: WorkerModel) -> WorkerModel:
    """With the pace that a worker really had while it was at work, where that was measured: it may
    have had less than a core to itself, or more. So many cores as that took are counted."""
    records = costs.get(f"stages.{model.stage}.rate")
    if not records:
        return model
    cores = records * costs(f"stages.{model.stage}.cpu_ms") / 1000
    rate = records / model.records
    return replace(model, rate=rate, cores=cores, latency=1 / rate, limit="as measured")


def _fetch(costs: Costs) -> WorkerModel:
    """Waits more than it computes: the requests at the same time are its limit."""
    seconds = costs("stages.fetch.seconds_per_url")
    by_cpu = 1000 / costs("stages.fetch.cpu_ms")
    by_requests = costs("stages.fetch.concurrency") / max(seconds, 1e-9)
    records = 1 / (costs("images.fetched_share") * costs("images.kept_share"))
    limit = "requests" if by_requests < by_cpu else "CPU"
    rate = min(by_cpu, by_requests) / records
    return replace(_plain(costs, "fetch", rate, limit, (), latency=seconds), records=records)


def gpu_rate(costs: Costs, stage: str, gpu: str) -> float:
    """Images a second of one GPU. Carried from another kind by the smaller of two ratios.

    Raises:
        SettingsError: no such GPU.
    """
    rate, of = costs(f"stages.{stage}.gpu_rate"), costs.flags.get(f"stages.{stage}.gpu_of_rate")
    if gpu not in costs.gpus():
        raise SettingsError(f"no figures for a GPU {gpu}; there are {', '.join(costs.gpus())}")
    if of is None or of == gpu or costs.figures[f"stages.{stage}.gpu_rate"].kind == "given":
        return rate
    ratios = [
        costs(f"gpus.{gpu}.{name}") / costs(f"gpus.{of}.{name}") for name in ("tflops", "gb_s")
    ]
    return rate * min(ratios)


def _on_gpu(costs: Costs, stage: str, gpu: str) -> WorkerModel:
    """Several workers share a GPU that one process cannot feed."""
    of_gpu = gpu_rate(costs, stage, gpu)
    of_process = 1000 / costs(f"stages.{stage}.locked_ms")
    sharing = math.ceil(of_gpu / of_process)
    rate = of_gpu / sharing
    cores = max(1.0, math.ceil(rate * costs(f"stages.{stage}.host_ms") / 1000))
    start = costs(f"stages.{stage}.gpu_start_seconds")
    memory = costs(f"stages.{stage}.memory_mb")
    return WorkerModel(
        stage, rate, cores, 1 / sharing, memory, 8 / rate, start, "GPU", ("curate",)
    )  # fmt: skip


def _fusion(costs: Costs, request: Request, experts: tuple[str, ...]) -> WorkerModel:
    by_cpu = 1000 / costs("stages.fusion.cpu_ms")
    if request.captions == "compose":
        return _as_it_went(costs, _plain(costs, "fusion", by_cpu, "CPU", experts))
    seconds = costs("stages.fusion.caption_seconds")
    by_cpu = 1000 / (costs("stages.fusion.cpu_ms") + costs("stages.fusion.picture_ms"))
    concurrency = int(costs("stages.fusion.concurrency"))
    while concurrency / seconds < by_cpu and concurrency < _MOST_REQUESTS:
        concurrency *= 2
    limit = "requests" if concurrency / seconds < by_cpu else "CPU"
    model = _plain(
        costs, "fusion", min(by_cpu, concurrency / seconds), limit, experts, latency=seconds
    )
    return replace(model, setting=("DENSEFUSION_CAPTION__CONCURRENCY", str(concurrency)))


def shard_writes(costs: Costs, request: Request, partitions: int, flush: float) -> float:
    """Open shards that are rewritten in a second, at the peak."""
    dirty = 1 - math.exp(-request.peak / partitions * flush)  # a partition without news is left
    return partitions * dirty / flush


def shard_rows(costs: Costs) -> float:
    """Rows of an open shard, on average over its life."""
    return costs("store.shard_rows") / 2


def _dataset(costs: Costs, request: Request, partitions: int) -> WorkerModel:
    """Rows wait for the flush together, and each flush rewrites the open shards in whole. So a
    longer interval is cheaper, but lets fewer rows through: `in_flight` of them for each flush."""
    rewrite = costs("stages.dataset.shard_ms") + shard_rows(costs) * costs(
        "stages.dataset.shard_row_ms"
    )
    best: WorkerModel | None = None
    for flush in (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0):
        # CPU of a second at the peak, in ms, over the images of that second.
        rewriting = rewrite * shard_writes(costs, request, partitions, flush) / request.peak
        by_cpu = 1000 / (costs("stages.dataset.cpu_ms") + rewriting)
        by_rows = costs("stages.dataset.in_flight") / flush
        limit = "CPU" if by_cpu < by_rows else "rows a flush"
        model = _plain(
            costs, "dataset", min(by_cpu, by_rows), limit, ("fusion",), latency=flush / 2
        )
        bytes_a_second = (
            shard_writes(costs, request, partitions, flush)
            * shard_rows(costs) * costs("store.row_bytes")
        )  # fmt: skip
        setting = ("DENSEFUSION_DATASET__FLUSH_INTERVAL", f"{flush:g}")
        best = replace(model, flush=flush, setting=setting)
        # Rewrites are not to weigh more than a tenth of the pictures that are stored.
        if bytes_a_second <= 0.1 * request.peak * costs("images.kb") * 1000:
            break
    assert best is not None
    return best
