from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from tenacity import AsyncRetrying, RetryCallState

from consumers.fetch.addresses import Hop
from consumers.fetch.failures import (
    MAX_WAIT,
    MayPass,
    Wait,
    http_reason,
    retry_after,
    translate,
)
from consumers.stage import Rejected
from densefusion.errors import DependencyError


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("12", 12),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
        ("1e9", 0),
        ("²", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 57 < retry_after(header) <= 60


def _state(attempt: int, asked: float) -> RetryCallState:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    failure = MayPass("http-429", wait=asked)
    state.set_exception((MayPass, failure, None))
    return state


def test_waits_grow_and_are_bounded() -> None:
    wait = Wait(0.5)
    assert 0.5 <= wait(_state(1, 0)) <= 1
    assert 1 <= wait(_state(2, 0)) <= 1.5
    assert wait(_state(1, 7)) == 7
    assert wait(_state(1, 10**9)) == MAX_WAIT
    assert wait(_state(60, 0)) <= MAX_WAIT


def test_reasons_are_bounded() -> None:
    assert len({http_reason(status) for status in range(100, 1000)}) < 70
    assert http_reason(404) == "http-404"
    assert http_reason(999) == "http-other"


def test_an_exception_nobody_thought_of_is_a_reject() -> None:
    reject = translate(RuntimeError("what"), Hop(allowed=False))
    assert isinstance(reject, Rejected) and reject.reason == "unexpected"
    reject = translate(aiohttp.ClientError("what"), Hop(allowed=False))
    assert isinstance(reject, Rejected) and reject.reason == "protocol"


def test_our_own_limits_are_not_the_urls_fault() -> None:
    exc = aiohttp.ClientOSError(errno.EMFILE, "Too many open files")
    assert isinstance(translate(exc, Hop(allowed=False)), DependencyError)
