"""How fetching goes, as metrics."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from consumers.stage import Rejected
from densefusion import metrics

_GENERIC = {"com", "org", "net", "edu", "gov", "info", "io", "co", "app", "dev", "ai"}
_HTTP = "http-"


class Attempt:
    """A URL on its way, retries included."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._seconds: float | None = None
        self._bytes = 0

    def downloaded(self, size: int) -> None:
        """All of its `size` bytes are there, whatever becomes of them."""
        self._seconds = time.monotonic() - self._started
        self._bytes = size

    def ended(self, url: str, reason: str) -> None:
        """Count it."""
        host = host_class(url)
        status = "none" if self._seconds is None else "200"
        if reason.startswith(_HTTP):
            status = reason.removeprefix(_HTTP)
        seconds = self._seconds
        if seconds is None:
            seconds = time.monotonic() - self._started
        metrics.FETCHED.labels(host, status, reason).inc()
        metrics.FETCH_SECONDS.labels(host).observe(seconds)
        metrics.STEP_SECONDS.labels("fetch", "load").inc(seconds)
        metrics.FETCH_BYTES.labels(host).inc(self._bytes)


@contextmanager
def fetching(url: str) -> Iterator[Attempt]:
    """Count and time what happens to a URL within it.

    A `Rejected` is an outcome; another exception (we stop, or are at fault) says nothing of the URL
    and is not counted.
    """
    attempt = Attempt()
    try:
        yield attempt
    except Rejected as rejected:
        attempt.ended(url, rejected.reason)
        raise
    attempt.ended(url, "ok")


@contextmanager
def inspecting() -> Iterator[None]:
    """Time what is done to look into a picture."""
    started = time.monotonic()
    try:
        yield
    finally:
        metrics.STEP_SECONDS.labels("fetch", "decode").inc(time.monotonic() - started)


def host_class(url: str) -> str:
    """`address`, or by the top-level domain: `generic`, `country` or `other`."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "other"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return "address"
    top = host.rstrip(".").rpartition(".")[2]
    if top in _GENERIC:
        return "generic"
    return "country" if len(top) == 2 and top.isalpha() else "other"
