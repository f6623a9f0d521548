"""Kafka, the object store, and the network between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from densefusion.plan.costs import Costs
from densefusion.plan.request import Request
from densefusion.plan.workers import WorkerModel, shard_rows, shard_writes

REPLICATION = 3
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Storage:
    """What is kept, and what flows. Rates are at the peak, amounts of an average day.

    Attributes:
        kafka_gb_day: on disk, one replica.
        kafka_disk_gb: with all replicas, over the retention.
        broker_limit: what decides their number.
        replicas: partitions of all topics, replicas included.
        rewrites_mb_s: of open shards.
        web_mb_s: of pictures fetched, those included that are refused.
    """

    kafka_gb_day: float
    kafka_disk_gb: float
    kafka_mb_s: float
    retention_days: float
    brokers: int
    broker_limit: str
    broker_cores: int
    replicas: int
    objects_day: float
    shards_day: float
    stored_gb_day: float
    puts_s: float
    gets_s: float
    store_in_mb_s: float
    store_out_mb_s: float
    rewrites_mb_s: float
    store_cores: int
    web_mb_s: float


def storage(request: Request, costs: Costs, partitions: int, dataset: WorkerModel) -> Storage:
    """What a request keeps and moves."""
    experts = costs.experts()
    urls = 1 / (costs("images.fetched_share") * costs("images.kept_share"))  # for each image
    fetched = 1 / costs("images.kept_share")
    on_disk = costs("kafka.spread") * (
        urls * costs("kafka.urls_bytes")
        + fetched * costs("kafka.fetched_bytes")
        + costs("kafka.images_bytes")
        + len(experts) * costs("kafka.prior_bytes")
        + costs("kafka.captions_bytes")
        + (urls - 1) * costs("kafka.urls_bytes")  # rejects are about as large as what they refuse
    )
    retention = costs("kafka.retention_days")
    day_gb = request.images_per_day * on_disk / _GB
    disk = day_gb * retention * REPLICATION
    replicas = partitions * (6 + len(experts)) * REPLICATION
    written = request.peak * on_disk / 1e6
    needs = {
        "replication": float(REPLICATION),
        "throughput": written * REPLICATION / costs("kafka.broker_mb_s"),
        "disk": disk / 1000 / costs("kafka.broker_disk_tb"),
        "partitions": replicas / costs("kafka.broker_partitions"),
    }
    limit = max(needs, key=lambda name: needs[name])
    brokers = math.ceil(needs[limit])

    picture = costs("images.kb") * 1000
    reads = sum(bool(costs.flags.get(f"stages.{name}.pixels")) for name in experts)
    reads += request.captions == "openai"
    assert dataset.flush is not None
    writes = shard_writes(costs, request, partitions, dataset.flush)
    rewritten = writes * shard_rows(costs) * costs("store.row_bytes")
    puts, gets = request.peak * fetched + writes, request.peak * reads
    busy = max(
        request.peak * costs("store.cpu_ms") / 1000,
        puts / costs("store.puts_s") + gets / costs("store.gets_s"),
    )
    shards = request.images_per_day / costs("store.shard_rows")
    return Storage(
        kafka_gb_day=day_gb, kafka_disk_gb=disk, kafka_mb_s=written, retention_days=retention,
        brokers=brokers, broker_limit=limit,
        broker_cores=brokers * int(costs("kafka.broker_cores")),
        replicas=replicas,
        objects_day=request.images_per_day * fetched + shards, shards_day=shards,
        stored_gb_day=request.images_per_day * (fetched * picture + costs("store.row_bytes")) / _GB,
        puts_s=puts, gets_s=gets,
        store_in_mb_s=(request.peak * fetched * picture + rewritten) / 1e6,
        store_out_mb_s=request.peak * reads * picture / 1e6,
        rewrites_mb_s=rewritten / 1e6,
        store_cores=math.ceil(busy / request.utilisation),
        web_mb_s=request.peak * fetched * picture / 1e6,
    )  # fmt: skip
