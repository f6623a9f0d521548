"""What an expert's batcher does, as metrics."""

from __future__ import annotations

from collections.abc import Callable

from densefusion import metrics


class BatchMetrics:
    """See `engines.batcher.Observer`."""

    def __init__(self, stage: str) -> None:
        self._rows = metrics.BATCH_SIZE.labels(stage)
        self._seconds = metrics.BATCH_SECONDS.labels(stage)
        self._waiting = metrics.STEP_SECONDS.labels(stage, "batch")
        self._model = metrics.STEP_SECONDS.labels(stage, "model")
        self._queue = metrics.BATCH_QUEUE.labels(stage)

    def queue(self, rows: Callable[[], int]) -> None:
        self._queue.set_function(rows)

    def waited(self, seconds: float) -> None:
        self._waiting.inc(seconds)

    def ran(self, rows: int, seconds: float) -> None:
        self._rows.observe(rows)
        self._seconds.observe(seconds)
        self._model.inc(seconds)
