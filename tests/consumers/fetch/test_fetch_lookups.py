"""A dead name server stops the worker; dead hosts do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from test_fetch_stage import image, opened

from consumers.stage import Rejected
from densefusion import settings
from densefusion.errors import DependencyError

Answer = Callable[[str], int | None]
QUICK = settings.Fetch(attempts=2, backoff=0.01, connect_timeout=1, total_timeout=3)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Puts a name server of ours in place of the system's: an error number for a host, or None for
    an address that takes no connection."""

    def put(answer: Answer) -> None:
        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            if (error := answer(host)) is not None:
                raise socket.gaierror(error, "said so")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return put


async def outcomes(count: int) -> list[BaseException]:
    """What becomes of so many URLs of different hosts, fetched at the same time."""
    async with opened(QUICK) as stage:
        urls = [f"http://host-{number}.example/a.jpg" for number in range(count)]
        found = await asyncio.gather(*(image(stage, url) for url in urls), return_exceptions=True)
    assert all(isinstance(each, BaseException) for each in found)
    return found  # type: ignore[return-value]


async def test_no_name_server(names: Callable[[Answer], None]) -> None:
    names(lambda host: socket.EAI_AGAIN)
    found = await outcomes(20)
    assert all(isinstance(each, DependencyError) for each in found), found
    assert "names cannot be looked up" in str(found[0])


async def test_dead_zones_are_rejects(names: Callable[[Answer], None]) -> None:
    """However many there are: a list that is nothing else must not stop a worker."""
    names(lambda host: socket.EAI_AGAIN if host.startswith("host-") else None)
    found = await outcomes(20)
    assert {each.reason for each in found if isinstance(each, Rejected)} == {"dns"}, found


async def test_a_network_of_ones_own(names: Callable[[Answer], None]) -> None:
    """Its name server knows no name of the Internet, and says so."""
    names(lambda host: socket.EAI_AGAIN if host.startswith("host-") else socket.EAI_NONAME)
    found = await outcomes(20)
    assert {each.reason for each in found if isinstance(each, Rejected)} == {"dns"}, found


async def test_few_hosts_are_rejects(names: Callable[[Answer], None]) -> None:
    names(lambda host: socket.EAI_AGAIN)
    (one,) = await outcomes(1)
    assert isinstance(one, Rejected) and one.reason == "dns"
