"""Name lookups on threads of their own.

`getaddrinfo` blocks for many seconds on a dead zone. On asyncio's few default threads such names
would hold up everyone else's; aiohttp's own threaded resolver uses those.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from consumers.fetch.lookups import Lookups

_AddrInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


class PooledResolver(AbstractResolver):
    """Looks names up with the system's `getaddrinfo`, `threads` at a time.

    Attributes:
        lookups: what became of them.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dns")
        self.lookups = Lookups(self._is_answered)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        infos = await self._look_up(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in infos
            # A scope id names a link of this machine; aiohttp would drop it and connect elsewhere.
            if len(address) < 4 or not address[3]
        ]

    async def _look_up(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[_AddrInfo]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, _lookup, host, port, family)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                self.lookups.failed(host)
            else:
                self.lookups.answered()
            raise
        self.lookups.answered()
        return found

    async def _is_answered(self, host: str) -> bool:
        try:
            await self._look_up(host, 80, socket.AF_UNSPEC)
        except OSError as error:
            return error.errno != socket.EAI_AGAIN
        return True

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int, family: socket.AddressFamily) -> Sequence[_AddrInfo]:
    found = socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return found
