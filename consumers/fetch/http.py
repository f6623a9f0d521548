"""HTTP GET for hostile servers: bounded in time, bytes, redirects, retries and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import ClientTimeout, DummyCookieJar, TCPConnector, TraceConfig
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt
from yarl import URL

from consumers.byte_budget import ByteBudget
from consumers.fetch.addresses import AllowList, Hop, current_hop, guarded_socket
from consumers.fetch.body import read_body
from consumers.fetch.failures import MayPass, Wait, http_reason, retry_after, translate
from consumers.fetch.opt_out import opted_out
from consumers.fetch.resolver import PooledResolver
from consumers.fetch.urls import parse_url
from consumers.stage import Rejected
from densefusion import settings
from densefusion.errors import DependencyError, SettingsError

_REDIRECTS = {301, 302, 303, 307, 308}
_RETRIED = {429, 500, 502, 503, 504}
_WITHOUT_BODY = {204, 205}
_DNS_THREADS = 32
_DNS_CACHE = 10_000  # names
_DNS_TTL = 60  # seconds
# AVIF is read, but not asked for: it costs ten times a JPEG's decoding.
_ACCEPT = "image/jpeg,image/png,image/webp,image/*;q=0.8,*/*;q=0.5"

Room = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Download:
    """A body as it was sent, not empty, with the header that says how it is encoded."""

    data: bytes
    content_encoding: str


class HttpClient:
    """Downloads bodies. Create it in a running event loop; `close` it there."""

    def __init__(self, options: settings.Fetch) -> None:
        self._options = options
        self._allow = allow_list(options.allow_hosts)
        self._memory = ByteBudget(options.memory)
        self._resolver = PooledResolver(min(options.concurrency, _DNS_THREADS))
        self._session = aiohttp.ClientSession(
            connector=TCPConnector(
                limit=options.concurrency,
                limit_per_host=options.per_host,
                resolver=self._resolver,
                ttl_dns_cache=_DNS_TTL,
                dns_cache_max_size=_DNS_CACHE,
                socket_factory=guarded_socket,
            ),
            timeout=ClientTimeout(
                total=None,  # see _attempt: waiting for a free connection doesn't count
                sock_connect=options.connect_timeout,
                sock_read=options.read_timeout,
            ),
            headers={
                "User-Agent": options.user_agent,
                "Accept": _ACCEPT,
                "Accept-Encoding": "identity",
            },
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[_pause_deadline_in_queue()],
        )

    async def close(self) -> None:
        await self._session.close()
        await self._resolver.close()

    async def get(self, text: str, held: ExitStack) -> Download:
        """Download what a URL leads to.

        Args:
            held: has the memory that the body takes, to be closed once it is let go.

        Raises:
            Rejected: whatever goes wrong with this URL, after its retries.
            DependencyError: no name can be looked up, of whichever host.
        """
        url = parse_url(text)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._options.attempts),
            wait=Wait(self._options.backoff),
            retry=retry_if_exception_type(MayPass),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, url, held)
        except MayPass as reject:
            if reject.reason == "dns" and await self._resolver.lookups.are_broken():
                raise DependencyError(
                    "names cannot be looked up: not those of the latest hosts, nor any known one; "
                    "see /etc/resolv.conf, and whether this machine is online"
                ) from reject
            raise

    async def _attempt(self, url: URL, held: ExitStack) -> Download:
        """One try, redirects included, within the total timeout."""

        async def room(size: int) -> None:
            # As the wait for a connection, this one is ours, and no fault of the server.
            loop = asyncio.get_running_loop()
            left = (deadline.when() or loop.time()) - loop.time()
            deadline.reschedule(None)
            taken.enter_context(await self._memory.lend(size))
            deadline.reschedule(loop.time() + left)

        try:
            with ExitStack() as taken:
                async with asyncio.timeout(self._options.total_timeout) as deadline:
                    found = await self._follow(url, deadline, room)
                held.push(taken.pop_all())
                return found
        except TimeoutError as exc:
            seconds = self._options.total_timeout
            raise MayPass("timeout", f"not done after {seconds:g} s") from exc

    async def _follow(self, url: URL, deadline: asyncio.Timeout, room: Room) -> Download:
        for _ in range(self._options.max_redirects + 1):
            answer = await self._hop(url, deadline, room)
            if isinstance(answer, Download):
                return answer
            url = answer
        raise Rejected("too-many-redirects", f"more than {self._options.max_redirects}")

    async def _hop(self, url: URL, deadline: asyncio.Timeout, room: Room) -> Download | URL:
        """One request: its body, or where it redirects to."""
        hop = Hop(allowed=self._allow.allows(url.raw_host or "", url.port or 0))
        token = current_hop.set(hop)
        try:
            async with self._session.get(
                url, allow_redirects=False, trace_request_ctx=deadline
            ) as response:
                return await self._answer(response, url, room)
        except Rejected:
            raise
        except Exception as exc:
            raise translate(exc, hop) from exc
        finally:
            current_hop.reset(token)

    async def _answer(
        self, response: aiohttp.ClientResponse, url: URL, room: Room
    ) -> Download | URL:
        status = response.status
        if status in _REDIRECTS and "Location" in response.headers:
            return parse_url(response.headers["Location"], base=url)
        if status in _RETRIED:
            wait = retry_after(response.headers.get("Retry-After", ""))
            raise MayPass(http_reason(status), response.reason or "", wait)
        if status in _WITHOUT_BODY:
            raise Rejected("empty", f"status {status}")
        if status not in (200, 203):
            raise Rejected(http_reason(status), f"{status} {response.reason or ''}"[:120])
        if self._options.respect_opt_out and (
            asked := opted_out(response.headers, self._options.user_agent)
        ):
            raise Rejected("opt-out", f"X-Robots-Tag: {asked}")
        data = await read_body(response, self._options.max_bytes, room)
        return Download(data, response.headers.get("Content-Encoding", ""))


def allow_list(entries: list[str]) -> AllowList:
    """Read ``fetch.allow_hosts``.

    Raises:
        SettingsError: an entry is not a host or host:port.
    """
    hosts = []
    for entry in entries:
        bare_v6 = entry.count(":") > 1 and not entry.startswith("[")
        try:
            url = parse_url(f"http://{f'[{entry}]' if bare_v6 else entry}/")
        except Rejected as exc:
            raise SettingsError(f"fetch.allow_hosts: {exc.detail}") from exc
        if url.raw_path_qs != "/":
            raise SettingsError(f"fetch.allow_hosts: {entry!r} is not host or host:port")
        hosts.append((url.raw_host or "", url.explicit_port))
    return AllowList(hosts)


def _pause_deadline_in_queue() -> TraceConfig:
    """Stop a try's clock while it waits for one of the pool's connections.

    That wait is ours (`concurrency`, `per_host`), bounded by the deadlines of those ahead; counted
    in, a list of one slow host's URLs would time out behind each other.
    """
    loop = asyncio.get_running_loop()

    async def pause(_: Any, trace: SimpleNamespace, __: Any) -> None:
        deadline = trace.trace_request_ctx
        trace.left = (deadline.when() or loop.time()) - loop.time()
        deadline.reschedule(None)

    async def resume(_: Any, trace: SimpleNamespace, __: Any) -> None:
        trace.trace_request_ctx.reschedule(loop.time() + trace.left)

    config = TraceConfig()
    config.on_connection_queued_start.append(pause)
    config.on_connection_queued_end.append(resume)
    return config
