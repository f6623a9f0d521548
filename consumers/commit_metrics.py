"""What a worker's commits say of it, as metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consumers.lanes import Batch
from densefusion import metrics
from schemas import SchemaError


class CommitMetrics:
    """Counts and times the commits of one stage."""

    def __init__(self, stage: str) -> None:
        outcomes = metrics.TRANSACTIONS
        self._committed = outcomes.labels(stage, "committed")
        self._aborted = outcomes.labels(stage, "aborted")
        self._uncertain = outcomes.labels(stage, "uncertain")
        self._seconds = metrics.TRANSACTION_SECONDS.labels(stage)
        self._publish = metrics.STEP_SECONDS.labels(stage, "publish")
        self._commit = metrics.STEP_SECONDS.labels(stage, "commit")
        self._age = metrics.AGE_SECONDS.labels(stage)
        metrics.DEAD_LETTERS.labels(stage)  # there from the start, so that the first is an increase

    def committed(self, batch: Batch, seconds: float, publishing: float) -> None:
        """A commit that took `seconds`, `publishing` of them for handing the records over."""
        self._committed.inc()
        self._seconds.observe(seconds)
        self._publish.inc(publishing)
        self._commit.inc(max(0.0, seconds - publishing))
        # One record tells how old all are; reading each would cost more than many a stage's work.
        published = _published(batch)
        if published is not None:
            self._age.observe(max(0.0, (datetime.now(UTC) - published).total_seconds()))

    def aborted(self) -> None:
        self._aborted.inc()

    def uncertain(self) -> None:
        self._uncertain.inc()


def _published(batch: Batch) -> datetime | None:
    """When the URL of the last record was published; None where it does not say."""
    record = batch.slots[-1].arrival.record
    if record is None:
        return None
    try:
        value: Any = record.value
    except SchemaError:  # it became a dead letter
        return None
    published = (value.get("image") or value).get("published_at")
    return published if isinstance(published, datetime) else None
