"""The HTTP side of a caption server: one request, bounded in every way, and tried again patiently.

Protocol: OpenAI's API reference. What the answers mean is read in `engines.captions.reply`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from io import BytesIO
from typing import Any, TypeVar

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)
from yarl import URL

from engines.captions.reply import OURS, Complaint, complaint, retry_after

log = logging.getLogger(__name__)

_MAX_REPLY = 4 << 20  # bytes of one answer
_MAX_CONNECT = 10.0  # seconds
_MAX_BACKOFF = 30.0  # seconds
_PASSING = {408, 409, 425, 429}  # and every 5xx
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

T = TypeVar("T")


class Transient(Exception):
    """It may pass: worth another try, after `wait` seconds at the earliest."""

    def __init__(self, words: str, wait: float = 0.0, status: int = 0) -> None:
        super().__init__(words)
        self.wait = wait
        self.status = status


class Declined(Exception):
    """The server understood, and declines: the same request will fare no better."""

    def __init__(self, status: int, said: Complaint) -> None:
        super().__init__(said.words)
        self.status = status
        self.said = said


class Client:
    """An OpenAI-compatible API at `base_url`, ``/v1`` at its end or not.

    `origin` is its scheme, host and port, for messages. The key is in none of them.

    Raises:
        ValueError: `base_url` or `api_key` cannot be one.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        concurrency: int,
        timeout: float,
        attempts: int,
        backoff: float,
    ) -> None:
        self._api = _root(base_url)
        self._key = api_key.strip()
        if not self._key.isprintable():
            raise ValueError("the API key holds characters that no header can")
        if self._key:
            self._api = self._api.with_user(None)
        self.origin = str(self._api.origin())
        self.attempts = attempts
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = timeout
        self._backoff = wait_random_exponential(multiplier=backoff, max=_MAX_BACKOFF)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        connect = min(self._timeout, _MAX_CONNECT)
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            connector=aiohttp.TCPConnector(limit=self._concurrency),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._api.host not in _LOOPBACK,  # proxies
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def patiently(self, ask: Callable[..., Coroutine[Any, Any, T]], *given: Any) -> T:
        """What the coroutine function `ask` returns when it is `given` that, tried again
        while it raises `Transient`; the last one is raised.

        Between two tries no slot is held: what waits for a sick request would be the healthy ones.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=stop_after_attempt(self.attempts),
            wait=self._wait,
            before_sleep=self._tell,
            reraise=True,
        )
        return await retrying(ask, *given)

    async def request(self, method: str, path: str, asked: dict[str, Any] | None = None) -> bytes:
        """The body of a 2xx answer.

        Raises:
            Transient: no answer, or one that says to come again.
            Declined: any other answer.
        """
        if self._session is None:
            raise RuntimeError("open the engine first")
        headers = {"Content-Type": "application/json"} if asked else {}
        sent = BytesIO(json.dumps(asked).encode()) if asked else None
        url = (self._api / path).with_query(self._api.query)
        try:
            async with (
                self._slots,
                self._session.request(
                    method, url, data=sent, headers=headers, allow_redirects=False
                ) as response,
            ):
                body = await _read(response)
        except TimeoutError as error:
            raise Transient(f"no answer within {self._timeout:g} s") from error
        except aiohttp.ClientResponseError as error:  # its text has the URL, which may hold a key
            raise Transient(f"no HTTP: {error.message}"[:300]) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(f"{type(error).__name__}: {error}"[:300]) from error
        if self._key:  # some servers quote the key that they do not like
            body = body.replace(self._key.encode(), b"***")
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return body
        raise _failure(response, complaint(body))

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, Transient) else 0.0
        return asked + self._backoff(state)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.info("caption server fails, trying again", extra={
            "server": self.origin, "attempt": state.attempt_number,
            "wait_seconds": round(state.upcoming_sleep, 1), "error": str(error),
        })  # fmt: skip


def _root(base_url: str) -> URL:
    """The API's root: ``/v1`` is put to its end, unless its path names a version already."""
    url = URL(base_url.strip() if "://" in base_url else f"http://{base_url.strip()}")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the base URL is not one of http or https")
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    if not re.search(r"/v\d", path):
        path += "/v1"
    return url.with_path(path, keep_query=True)


def _failure(response: aiohttp.ClientResponse, said: Complaint) -> Transient | Declined:
    status = response.status
    passing = status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if passing and said.code not in OURS:
        return Transient(f"HTTP {status}: {said.words}", retry_after(response.headers), status)
    return Declined(status, said)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_REPLY:
            raise Transient(f"an answer of more than {_MAX_REPLY} bytes", status=response.status)
    return bytes(body)
