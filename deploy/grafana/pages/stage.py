"""One stage: how fast, on what it spends its time, what its model and its worker do."""

from __future__ import annotations

from deploy.grafana import queries as q
from deploy.grafana.page import Page, Section
from deploy.grafana.panels import GREEN, RED, WAIT, YELLOW, Query, graph, number, rows

_STAGE = 'stage="$stage"'
# Metrics of the process carry no stage: those of the instances that report it.
_HERE = f"and on (job, instance) {q.metric('worker_ready', _STAGE)}"


def _spread(name: str, *matchers: str) -> tuple[Query, ...]:
    return tuple(
        Query(q.quantile(share, name, *matchers), f"p{share * 100:.0f}")
        for share in (0.5, 0.95, 0.99)
    )


STAGE = Page(
    "stage",
    "Stage",
    "One stage: how fast, on what it spends its time, what its model and its worker do.",
    stage=True,
    sections=(
        Section(
            "$stage now",
            (
                number(
                    "Records per second",
                    "Records taken into work.",
                    "cps",
                    Query(q.rate("records_in_total", _STAGE), "records"),
                    decimals=2,
                ),
                number(
                    "Waiting",
                    "Records in front of it: of its topics, the one furthest behind.",
                    "short",
                    Query(q.waiting(_STAGE, by=""), "records"),
                ),
                number(
                    "Behind",
                    "How long ago the oldest record in front of it was published.",
                    "s",
                    Query(q.highest("consumer_lag_seconds", _STAGE), "seconds"),
                    steps=WAIT,
                ),
                number(
                    "Time to drain",
                    "How long it needs for what waits, at its rate now, if nothing more came.",
                    "s",
                    Query(q.drain(_STAGE, by=""), "seconds"),
                    steps=((None, GREEN), (3_600, YELLOW), (6 * 3_600, RED)),
                ),
                number(
                    "Ready workers",
                    "Workers that have partitions and a loaded engine.",
                    "short",
                    Query(q.total("worker_ready", _STAGE), "workers"),
                    steps=((None, RED), (1, GREEN)),
                    line=False,
                ),
                number(
                    "Partitions",
                    "Partitions that its workers hold, over all topics it reads.",
                    "short",
                    Query(q.total("assigned_partitions", _STAGE), "partitions"),
                    line=False,
                ),
                number(
                    "In flight",
                    "Records in work, between having been taken and being committed.",
                    "short",
                    Query(q.total("in_flight_records", _STAGE), "records"),
                ),
                number(
                    "Rows waiting for the model",
                    "Rows in front of the batcher. It fills while the model is the bottleneck; "
                    "empty for stages without a model.",
                    "short",
                    Query(q.total("batch_queue_rows", _STAGE), "rows"),
                ),
            ),
        ),
        Section(
            "Records",
            (
                graph(
                    "In and out",
                    "Records taken into work, and records published, by topic.",
                    "cps",
                    Query(q.rate("records_in_total", _STAGE), "in"),
                    Query(q.rate("records_out_total", _STAGE, by="topic"), "out to {{topic}}"),
                    width=8,
                ),
                graph(
                    "Rejects per second, by reason",
                    "What this stage refused, and why; an expert refuses nothing, it answers "
                    "`failed`.",
                    "cps",
                    Query(q.rate("rejects_total", _STAGE, by="reason"), "{{reason}}"),
                    width=8,
                    stacked=True,
                ),
                graph(
                    "Dead letters, skipped, late",
                    "Records nobody could read; images that an expert passed over since fusion had "
                    "gone on without it; priors that came after their image had left.",
                    "cps",
                    Query(q.rate("dead_letters_total", _STAGE), "dead letters"),
                    Query(q.rate("skipped_images_total", _STAGE), "skipped images"),
                    Query(q.rate("late_priors_total", _STAGE), "late priors"),
                    width=8,
                ),
                graph(
                    "Waiting, by topic",
                    "Records in front of it, topic by topic.",
                    "short",
                    Query(q.waiting(_STAGE, by="topic"), "{{topic}}"),
                    width=8,
                ),
                graph(
                    "Behind, by topic",
                    "How long ago the oldest record in front of it was published.",
                    "s",
                    Query(q.highest("consumer_lag_seconds", _STAGE, by="topic"), "{{topic}}"),
                    width=8,
                    steps=((600, RED),),
                ),
                graph(
                    "Age of its output",
                    "From the URL's publication until this stage's output is committed.",
                    "s",
                    *_spread("age_seconds", _STAGE),
                    width=8,
                ),
            ),
        ),
        Section(
            "Time",
            (
                graph(
                    "Where the time goes",
                    "Worker seconds spent each second, by step: waiting for input, loading bytes, "
                    "decoding, waiting for a batch, in the model, publishing, committing. Steps "
                    "run side by side, so the sum may exceed the number of workers.",
                    "short",
                    Query(q.rate("step_seconds_total", _STAGE, by="step"), "{{step}}"),
                    stacked=True,
                    table_legend=True,
                ),
                graph(
                    "Time for a record",
                    "From a record's start to its outputs, waiting for a batch included.",
                    "s",
                    *_spread("process_seconds", _STAGE),
                ),
                graph(
                    "Time of a transaction",
                    "Publishing outputs and committing offsets, in one Kafka transaction.",
                    "s",
                    *_spread("transaction_seconds", _STAGE),
                    width=8,
                ),
                graph(
                    "Time in the model, a batch",
                    "One call of the model; empty for stages without one.",
                    "s",
                    *_spread("batch_seconds", _STAGE),
                    width=8,
                ),
                graph(
                    "Batch size",
                    "Rows in a batch that the model ran, on average. Small ones on a GPU mean that "
                    "it starves.",
                    "short",
                    Query(q.mean("batch_size", _STAGE), "mean"),
                    width=8,
                ),
            ),
        ),
        Section(
            "Workers",
            (
                graph(
                    "CPU, by worker",
                    "Cores that each worker of this stage keeps busy.",
                    "short",
                    Query(
                        f"rate({q.process('cpu_seconds_total')}[{q.OVER}]) {_HERE}", "{{instance}}"
                    ),
                    width=8,
                ),
                graph(
                    "Memory, by worker",
                    "Resident memory of each worker of this stage. It is bounded: a line that only "
                    "rises is a leak.",
                    "bytes",
                    Query(f"{q.process('resident_memory_bytes')} {_HERE}", "{{instance}}"),
                    width=8,
                ),
                graph(
                    "Records per second, by worker",
                    "An uneven share means uneven partitions, or one slow machine.",
                    "cps",
                    Query(q.rate("records_in_total", _STAGE, by="instance"), "{{instance}}"),
                    width=8,
                ),
                rows(
                    "Engines",
                    "What every expert really runs on. A provider other than the requested one "
                    "raises an alert.",
                    "short",
                    Query(
                        q.total("engine_info", by="expert, model, requested, provider, precision"),
                        "workers",
                    ),
                    width=12,
                    height=7,
                ),
                graph(
                    "GPU in use",
                    "Share of the time in which a kernel ran, and share of memory taken; empty "
                    "on machines without a GPU.",
                    "percentunit",
                    Query(q.highest("gpu_utilization_ratio", by="instance, gpu"), "busy {{gpu}}"),
                    Query(
                        f"{q.highest('gpu_memory_used_bytes', by='instance, gpu')} / "
                        f"{q.highest('gpu_memory_total_bytes', by='instance, gpu')}",
                        "memory {{gpu}}",
                    ),
                    height=7,
                    highest=1,
                    steps=((0.95, RED),),
                ),
            ),
        ),
    ),
)
