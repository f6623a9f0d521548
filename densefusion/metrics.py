"""Every metric, defined here and nowhere else: `docs/metrics.md` is made from this file.

`stage` is fetch, curate, an expert's name, fusion or dataset. Every label has few values, whatever
comes from the web: reasons, kinds and steps are from fixed lists, topics and partitions are the
project's own. Counters count what this process has done since it started; times are in seconds.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Metric

# Steps of about two: a quantile is only as good as its bucket is narrow.
_SHORT = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
_LONG = (0.5, 1, 2, 5, 10, 20, 30, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2700,
         3600, 7200, 4 * 3600, 8 * 3600, 24 * 3600)  # fmt: skip
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_WORDS = (10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640)

# -- what goes through a stage -------------------------------------------------------------------
RECORDS_IN = Counter("densefusion_records_in_total", "Records taken into work.", ["stage"])
RECORDS_OUT = Counter(
    "densefusion_records_out_total", "Records published and committed.", ["stage", "topic"]
)
IN_FLIGHT = Gauge(
    "densefusion_in_flight_records", "Records taken into work and not yet committed.", ["stage"]
)
REJECTS = Counter(
    "densefusion_rejects_total", "Records rejected, by the reason's code.", ["stage", "reason"]
)
DEAD_LETTERS = Counter("densefusion_dead_letters_total", "Records dead-lettered.", ["stage"])
SKIPPED = Counter(
    "densefusion_skipped_images_total",
    "Images that an expert passed over, since they had been captioned without it.",
    ["stage"],
)
AGE_SECONDS = Histogram(
    "densefusion_age_seconds",
    "From the publication of an image's URL to the commit of what this stage made of it "
    "(of the dataset: until its shard was stored). Recent records only: one a commit.",
    ["stage"],
    buckets=_LONG,
)

# -- where a stage's time goes -------------------------------------------------------------------
PROCESS_SECONDS = Histogram(
    "densefusion_process_seconds",
    "From a record's start to its outputs, waiting for batches included.",
    ["stage"],
    buckets=_SHORT,
)
STEP_SECONDS = Counter(
    "densefusion_step_seconds_total",
    "Time spent in a step: input (nothing to do), load (object store; for fetch, the web), decode, "
    "batch (waiting for one to fill), model, publish and commit. Records are worked on side by "
    "side, so that all but input, publish and commit may pass more than a second a second.",
    ["stage", "step"],
)
BATCH_SIZE = Histogram(
    "densefusion_batch_size", "Rows of a batch that the model ran.", ["stage"], buckets=_ROWS
)
BATCH_SECONDS = Histogram(
    "densefusion_batch_seconds", "Time of the model for a batch.", ["stage"], buckets=_SHORT
)
BATCH_QUEUE = Gauge(
    "densefusion_batch_queue_rows", "Rows that wait for a batch or are in one.", ["stage"]
)

# -- Kafka ---------------------------------------------------------------------------------------
LAG_RECORDS = Gauge(
    "densefusion_consumer_lag_records",
    "Offsets from what this worker has finished to the partition's end. The marker that ends a "
    "transaction has an offset too, so that a topic that is drained may show one.",
    ["stage", "topic", "partition"],
)
LAG_SECONDS = Gauge(
    "densefusion_consumer_lag_seconds",
    "Age of the oldest record that is not yet finished; 0 where none waits.",
    ["stage", "topic", "partition"],
)
REBALANCES = Counter("densefusion_rebalances_total", "Assignments received.", ["stage"])
ASSIGNED = Gauge("densefusion_assigned_partitions", "Partitions assigned now.", ["stage"])
TRANSACTION_SECONDS = Histogram(
    "densefusion_transaction_seconds",
    "From the first record of a commit to its end, trying again not included.",
    ["stage"],
    buckets=_SHORT,
)
TRANSACTIONS = Counter(
    "densefusion_transactions_total",
    "Commits by outcome: committed, aborted, or uncertain (the group's offsets then told).",
    ["stage", "outcome"],
)
KAFKA_RECEIVED = Counter(
    "densefusion_kafka_received_bytes_total", "Bytes received from brokers.", ["stage"]
)
KAFKA_SENT = Counter("densefusion_kafka_sent_bytes_total", "Bytes sent to brokers.", ["stage"])
KAFKA_PREFETCHED = Gauge(
    "densefusion_kafka_prefetched_records", "Records fetched and not yet polled.", ["stage"]
)
KAFKA_BROKERS = Gauge("densefusion_kafka_brokers_up", "Brokers connected.", ["stage"])
KAFKA_TIMEOUTS = Counter(
    "densefusion_kafka_request_timeouts_total", "Requests to brokers that timed out.", ["stage"]
)
KAFKA_RTT = Gauge(
    "densefusion_kafka_broker_rtt_seconds",
    "Round trip of the slowest broker, 99th percentile of the last seconds. A fetch that waits for "
    "records counts with its wait.",
    ["stage"],
)

# -- the join ------------------------------------------------------------------------------------
JOIN_WINDOW = Gauge(
    "densefusion_join_window",
    "Images a partition may hold (`join.window`); 0 in a process without a join.",
)
JOIN_IMAGES = Gauge("densefusion_join_images", "Images that wait for their priors.", ["partition"])
JOIN_OLDEST = Gauge(
    "densefusion_join_oldest_seconds", "How long the oldest image has waited.", ["partition"]
)
MISSING_PRIORS = Counter(
    "densefusion_missing_priors_total", "Captions without this expert's findings.", ["expert"]
)
LATE_PRIORS = Counter(
    "densefusion_late_priors_total", "Priors that came when their image had left.", ["stage"]
)
RECAPTIONS = Counter(
    "densefusion_recaptions_total",
    "Captions made again with this expert's late findings.",
    ["expert"],
)

# -- engines -------------------------------------------------------------------------------------
ENGINE_INFO = Gauge(
    "densefusion_engine_info",
    "Always 1. What an expert really runs on, beside what was requested.",
    ["expert", "model", "requested", "provider", "precision"],
)
GPU_MEMORY_USED = Gauge("densefusion_gpu_memory_used_bytes", "GPU memory in use.", ["gpu"])
GPU_MEMORY_TOTAL = Gauge("densefusion_gpu_memory_total_bytes", "GPU memory there is.", ["gpu"])
GPU_UTILIZATION = Gauge(
    "densefusion_gpu_utilization_ratio", "Share of time in which a kernel ran.", ["gpu"]
)

# -- fetch ---------------------------------------------------------------------------------------
FETCHED = Counter(
    "densefusion_fetch_total",
    "URLs tried. host_class is generic (.com, .org, ...), country, other or address; status "
    "the HTTP status or none; reason ok or the reject's.",
    ["host_class", "status", "reason"],
)
FETCH_SECONDS = Histogram(
    "densefusion_fetch_seconds",
    "From the first request to the last byte, or to giving up; redirects, retries and their waits "
    "included.",
    ["host_class"],
    buckets=_SHORT,
)
FETCH_BYTES = Counter("densefusion_fetch_bytes_total", "Bytes of images fetched.", ["host_class"])

# -- captions ------------------------------------------------------------------------------------
CAPTIONS = Counter("densefusion_captions_total", "Captions written.", ["engine"])
CAPTION_TOKENS = Counter(
    "densefusion_caption_tokens_total", "Tokens read (in) and written (out).",
    ["engine", "direction"],
)  # fmt: skip
CAPTION_PRICE = Counter(
    "densefusion_caption_price_dollars_total",
    "What captions cost, by `caption.price_in` and `caption.price_out`.",
    ["engine"],
)
CAPTION_WORDS = Histogram(
    "densefusion_caption_words", "Length of a caption.", ["engine"], buckets=_WORDS
)
CAPTION_SECONDS = Histogram(
    "densefusion_caption_seconds", "Time of the caption engine.", ["engine"], buckets=_SHORT
)

# -- object store --------------------------------------------------------------------------------
STORE_SECONDS = Histogram(
    "densefusion_store_seconds",
    "Time of an operation (get, put, head, delete), retries included.",
    ["operation"],
    buckets=_SHORT,
)
STORE_ERRORS = Counter(
    "densefusion_store_errors_total",
    "Attempts that failed: connection, timeout, status-5xx, other. Most are tried again.",
    ["operation", "kind"],
)
STORE_BYTES = Counter("densefusion_store_bytes_total", "Bytes got and put.", ["operation"])

# -- the worker ----------------------------------------------------------------------------------
WORKER_READY = Gauge(
    "densefusion_worker_ready", "1 while `/readyz` says that this stage is ready.", ["stage"]
)
BUILD_INFO = Gauge("densefusion_build_info", "Always 1.", ["version", "python", "librdkafka"])


class Growth:
    """A counter that follows a total which somebody else keeps, and which begins anew with them."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._total = 0

    def to(self, total: int) -> None:
        """The total is `total` now."""
        self._counter.inc(total - self._total if total >= self._total else total)
        self._total = total


def families() -> dict[str, tuple[Metric, tuple[str, ...]]]:
    """All that is defined here, in order: by name, the family and the names of its labels."""
    found = {}
    for each in globals().values():
        if isinstance(each, Counter | Gauge | Histogram):
            (family,) = each.describe()
            found[family.name] = (family, tuple(each._labelnames))
    return found
