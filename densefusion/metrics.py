"""Every metric, defined here and nowhere else."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)

# Records that a stage has begun to work on.
RECORDS_IN = Counter("densefusion_records_in_total", "Records taken into work.", ["stage"])
# Records published in transactions that were committed.
RECORDS_OUT = Counter("densefusion_records_out_total", "Records published.", ["stage", "topic"])
# Reasons are codes from a short fixed list, so that the label stays bounded.
REJECTS = Counter("densefusion_rejects_total", "Records rejected.", ["stage", "reason"])
DEAD_LETTERS = Counter("densefusion_dead_letters_total", "Records dead-lettered.", ["stage"])
# From a record's start to its outputs, waiting for batches included.
PROCESS_SECONDS = Histogram(
    "densefusion_process_seconds", "Time in a stage's process().", ["stage"], buckets=_SECONDS
)
TRANSACTION_SECONDS = Histogram(
    "densefusion_transaction_seconds", "Time of a transaction.", ["stage"], buckets=_SECONDS
)
ABORTS = Counter("densefusion_transaction_aborts_total", "Transactions aborted.", ["stage"])
REBALANCES = Counter("densefusion_rebalances_total", "Assignments received.", ["stage"])
ASSIGNED = Gauge("densefusion_assigned_partitions", "Partitions assigned now.", ["stage"])
# Priors that came when their image had left the join.
LATE_PRIORS = Counter("densefusion_late_priors_total", "Priors dropped as late.", ["stage"])
# Captions made again with this expert's late findings.
RECAPTIONS = Counter("densefusion_recaptions_total", "Captions made again.", ["expert"])
# Images that an expert passed over, since fusion had captioned them without it.
SKIPPED = Counter("densefusion_skipped_images_total", "Images nobody waited for.", ["stage"])
MISSING_PRIORS = Counter(
    "densefusion_missing_priors_total", "Captions without this expert's findings.", ["expert"]
)
# Always 1; the labels say what really runs.
ENGINE_INFO = Gauge(
    "densefusion_engine_info", "Execution provider in use.", ["expert", "model", "provider"]
)
