"""How the object store answers, as metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio.error import S3Error

from densefusion import metrics

_OPERATIONS = {
    "_get": "get",
    "get": "get",
    "_put": "put",
    "_put_if": "put",
    "make": "head",
    "remove_object": "delete",
    "keys": "list",
}


class StoreMetrics:
    """Counts and times the operations of a store; knows whether it fails now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[int, str] = {}  # by the thread that tries again

    @contextmanager
    def operation(self, work: str, *sized: object) -> Iterator[None]:
        """An operation, retries included; `sized`: its arguments, of which one is what is put."""
        name = _OPERATIONS.get(work, "other")
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._failing.pop(threading.get_ident(), None)
            metrics.STORE_SECONDS.labels(name).observe(time.monotonic() - started)
        if name == "put":
            self.moved(name, next((each for each in sized if isinstance(each, bytes)), b""))

    def moved(self, operation: str, data: bytes) -> None:
        metrics.STORE_BYTES.labels(operation).inc(len(data))

    def failed(self, work: str, error: BaseException | None) -> None:
        """An attempt failed; it is tried again."""
        with self._lock:
            self._failing[threading.get_ident()] = f"object store: {error!r:.200}"
        self.gave_up(work, error)

    def gave_up(self, work: str, error: BaseException | None) -> None:
        """An attempt failed, and was the last one."""
        metrics.STORE_ERRORS.labels(_OPERATIONS.get(work, "other"), _kind(error)).inc()

    def failing(self) -> str | None:
        """What is being tried again at this moment, or None."""
        with self._lock:
            return next(iter(self._failing.values()), None)


def _kind(error: BaseException | None) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, S3Error):
        status = getattr(error.response, "status", None)
    if isinstance(status, int):
        return "status-5xx" if status >= 500 else "other"
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "timeout"
    return "connection" if isinstance(error, urllib3.exceptions.HTTPError | OSError) else "other"
