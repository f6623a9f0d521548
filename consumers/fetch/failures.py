"""What a failed request means: a reject reason, and whether trying again may help."""

from __future__ import annotations

import errno
import logging
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from tenacity import RetryCallState, wait_exponential, wait_random

from consumers.fetch.addresses import Hop
from consumers.stage import Rejected
from densefusion.errors import DependencyError

log = logging.getLogger(__name__)

MAX_WAIT = 30.0
"""Seconds between two tries at the most, whatever ``Retry-After`` asks for."""

_STATUSES = {int(status) for status in HTTPStatus}
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class MayPass(Rejected):
    """A reject, unless another try helps. `wait`: seconds that the server asks for, or 0."""

    def __init__(self, reason: str, detail: str = "", wait: float = 0.0) -> None:
        super().__init__(reason, detail)
        self.wait = wait


class Wait:
    """Seconds before the next try: exponential with jitter, or as long as the server asks."""

    def __init__(self, backoff: float) -> None:
        self._exponential = wait_exponential(backoff, MAX_WAIT) + wait_random(0, backoff)

    def __call__(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.wait if isinstance(failure, MayPass) else 0.0
        return min(max(self._exponential(state), asked), MAX_WAIT)


def retry_after(header: str) -> float:
    """Seconds of a ``Retry-After`` header: a number or an HTTP date; 0 if neither."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def http_reason(status: int) -> str:
    """``http-<status>`` for statuses that exist, ``http-other`` for what servers make up."""
    return f"http-{status}" if status in _STATUSES else "http-other"


def translate(exc: Exception, hop: Hop) -> Exception:
    """The reject that an exception of aiohttp means; never lets one URL stop the worker.

    Returns:
        A `Rejected`; a `DependencyError` where this process is at its own limits (file
        descriptors, memory): rejecting the whole list would be wrong then.
    """
    detail = f"{type(exc).__name__}: {exc}"[:200]
    if isinstance(exc, OSError) and exc.errno in _OURS:
        return DependencyError(f"cannot open connections: {detail}")
    match exc:
        case aiohttp.ClientConnectorDNSError():
            # Anything but "try again" is the zone's last word.
            again = exc.os_error.errno == socket.EAI_AGAIN
            return MayPass("dns", detail) if again else Rejected("dns", detail)
        case aiohttp.ClientSSLError():
            return Rejected("tls", detail)
        case aiohttp.ClientConnectorError() if hop.refused:
            return Rejected("private-address", ", ".join(hop.refused)[:200])
        case aiohttp.ClientConnectorError():
            return MayPass("connect", detail)
        case TimeoutError():
            return MayPass("timeout", detail)
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | OSError():
            return MayPass("incomplete", detail)
        case aiohttp.InvalidURL():
            return Rejected("malformed-url", detail)
        case aiohttp.ClientError():
            return Rejected("protocol", detail)
    log.warning("unexpected exception in a request", exc_info=exc)
    return Rejected("unexpected", detail)
