"""How much of what hosts send is held at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import hostile_pictures as pictures
import pytest
from aiohttp import web

from consumers.fetch import Fetch
from consumers.fetch.inspect import inspect
from consumers.fetch.room import Room
from consumers.stage import Record
from densefusion import settings

PICTURE = pictures.photo(1)
MIB = 1 << 20


class SlowStore:
    """An object store that takes its time, and notes how many bytes are with it."""

    def __init__(self) -> None:
        self.held = self.most = 0

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self.held += len(data)
        self.most = max(self.most, self.held)
        await asyncio.sleep(0.25)
        self.held -= len(data)


@asynccontextmanager
async def serving(*, size: int, chunked: bool) -> AsyncIterator[str]:
    """A host of large pictures, every one another; where it is."""

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        body = PICTURE + bytes([number]) * (size - len(PICTURE))
        response = web.StreamResponse()
        if not chunked:
            response.content_length = size
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    application = web.Application()
    application.router.add_get("/{number}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


def record(host: str, number: int) -> Record:
    value: dict[str, Any] = {
        "url_id": str(number),
        "url": f"http://{host}/{number}",
        "extra": {},
        "published_at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    return Record("urls", 0, number, str(number), value, b"")


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_wait_for_room_and_that_is_no_time_out(chunked: bool) -> None:
    store = SlowStore()
    async with serving(size=2 * MIB, chunked=chunked) as host:
        limits = {
            "max_bytes": 2 * MIB,
            "memory": 5 * MIB,
            "total_timeout": 1.5,
            "per_host": 64,
            "attempts": 1,
        }
        stage = Fetch(settings.Fetch(allow_hosts=[host], **limits), store)
        await stage.open()
        found = await asyncio.gather(*(stage.process(record(host, n)) for n in range(16)))
        await stage.close()
    assert len(found) == 16
    assert store.most == 4 * MIB  # of 32


async def test_small_bodies_do_not_wait() -> None:
    store = SlowStore()
    async with serving(size=MIB, chunked=False) as host:
        stage = Fetch(settings.Fetch(allow_hosts=[host], memory=MIB, per_host=64), store)
        await stage.open()
        await asyncio.gather(*(stage.process(record(host, n)) for n in range(8)))
        await stage.close()
    assert store.most > 2 * MIB


def test_threads_wait_for_room_and_what_is_larger_is_alone() -> None:
    room = Room(100)
    lock = threading.Lock()
    now: list[int] = []
    seen: list[list[int]] = []

    def work(size: int) -> None:
        with room(size):
            with lock:
                now.append(size)
                seen.append(list(now))
            time.sleep(0.01)
            with lock:
                now.remove(size)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [40, 40, 40, 40, 500, 40, 40, 500, 40]))
    assert max(sum(each) for each in seen if 500 not in each) == 80
    assert [each for each in seen if 500 in each] == [[500], [500]]


def test_looking_at_a_picture_takes_room_for_its_pixels() -> None:
    asked: list[int] = []

    class Asking(Room):
        def __call__(self, size: int) -> Any:
            asked.append(size)
            return super().__call__(size)

    for data in (PICTURE, pictures.encode(pictures.scene(1), "PNG")):
        inspect(data, max_pixels=10**7, min_short_edge=400, room=Asking(1))
    jpeg, png = asked
    assert jpeg >= 3 * 640 * 480 and png >= 12 * 640 * 480
