"""The stage against a real server that misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import hostile_pictures as pictures
import pytest
from hostile_server import HostileServer

from consumers.fetch import Fetch
from consumers.stage import Emit, Record, Rejected
from densefusion import settings
from densefusion.errors import SettingsError, StoreError


class MemoryStore:
    """An object store that keeps objects in memory, and counts what is put."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.puts = 0

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self.puts += 1
        self.objects[key] = (data, content_type)


class BrokenStore:
    async def put(self, key: str, data: bytes, content_type: str) -> None:
        raise StoreError("no answer")


def quick(server: HostileServer, **changes: Any) -> settings.Fetch:
    """Settings that don't make a test wait, and allow the test's server."""
    values: dict[str, Any] = {
        "allow_hosts": [server.host],
        "connect_timeout": 2,
        "read_timeout": 2,
        "total_timeout": 3,
        "attempts": 2,
        "backoff": 0.02,
        "per_host": 64,
    }
    return settings.Fetch(**values | changes)


@asynccontextmanager
async def opened(options: settings.Fetch, store: Any = None) -> AsyncIterator[Fetch]:
    stage = Fetch(options, MemoryStore() if store is None else store)
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()


def image_url(url: str) -> Record:
    value = {
        "url_id": "u1",
        "url": url,
        "alt_text": "a scene",
        "page_url": None,
        "source": "test",
        "extra": {"licence": "none"},
        "published_at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    return Record("urls", 0, 0, "u1", value, b"")


async def image(stage: Fetch, url: str) -> Emit:
    (emit,) = await stage.process(image_url(url))
    return emit


async def reason(stage: Fetch, url: str) -> str:
    try:
        await stage.process(image_url(url))
    except Rejected as reject:
        reject.detail.encode("ascii")
        return reject.reason
    return "accepted"


async def test_everything_wrong_ends_in_its_reject(server: HostileServer) -> None:
    async with opened(quick(server)) as stage:
        reasons = await asyncio.gather(*(reason(stage, server.url(p)) for p in server.rejected))
    assert dict(zip(server.rejected, reasons, strict=True)) == server.rejected


async def test_everything_right_is_accepted_and_described(server: HostileServer) -> None:
    async with opened(quick(server)) as stage:
        emits = await asyncio.gather(*(image(stage, server.url(p)) for p in server.accepted))
    found = [(e.value["width"], e.value["height"], e.value["mime"]) for e in emits]
    assert dict(zip(server.accepted, found, strict=True)) == server.accepted
    assert len({e.key for e in emits}) == len(emits)


async def test_urls_that_lead_nowhere_good(server: HostileServer) -> None:
    async with opened(quick(server)) as stage:
        reasons = {url: await reason(stage, url) for url in server.elsewhere}
    assert reasons == server.elsewhere


async def test_the_record_says_what_was_stored(server: HostileServer) -> None:
    store = MemoryStore()
    async with opened(quick(server), store) as stage:
        emit = await image(stage, server.url("/photo.jpg"))
    body = pictures.photo(1)
    image_id = hashlib.sha256(body).hexdigest()
    key = f"images/{image_id[:2]}/{image_id[2:4]}/{image_id}"
    assert (emit.topic, emit.key, emit.schema) == ("fetched", image_id, "Image")
    assert store.objects == {key: (body, "image/jpeg")}
    value = dict(emit.value)
    assert abs((datetime.now(UTC) - value.pop("fetched_at")).total_seconds()) < 60
    assert len(value.pop("phash")) == 16
    assert value == {
        "image_id": image_id,
        "object_key": key,
        "width": 640,
        "height": 480,
        "mime": "image/jpeg",
        "size": len(body),
        "url_id": "u1",
        "url": server.url("/photo.jpg"),
        "alt_text": "a scene",
        "page_url": None,
        "source": "test",
        "extra": {"licence": "none"},
        "embedded": {},
        "published_at": datetime(2024, 1, 1, tzinfo=UTC),
    }


async def test_the_stored_bytes_are_the_inflated_ones(server: HostileServer) -> None:
    store = MemoryStore()
    async with opened(quick(server), store) as stage:
        emit = await image(stage, server.url("/gzipped.jpg"))
    assert store.objects[emit.value["object_key"]][0] == pictures.photo(18)


async def test_the_same_bytes_are_put_once(server: HostileServer) -> None:
    store = MemoryStore()
    async with opened(quick(server), store) as stage:
        first = await image(stage, server.url("/photo/1.jpg"))
        again = await image(stage, server.url("/moved.jpg"))
    assert first.key == again.key
    assert store.puts == 1


async def test_a_store_that_is_down_is_no_reject(server: HostileServer) -> None:
    async with opened(quick(server), BrokenStore()) as stage:
        with pytest.raises(StoreError):
            await stage.process(image_url(server.url("/photo.jpg")))


async def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    server: HostileServer,
) -> None:
    tries = {"/503.jpg": 3, "/reset.jpg": 3, "/hang-up.jpg": 3, "/404.jpg": 1, "/403.jpg": 1}
    tries |= {"/endless.jpg": 1, "/half.jpg": 1, "/to-file.jpg": 1}
    async with opened(quick(server, attempts=3)) as stage:
        await asyncio.gather(*(reason(stage, server.url(path)) for path in tries))
    # aiohttp sends a GET once more by itself where a kept connection turns out to be closed.
    slack = {"/hang-up.jpg"}
    assert {p: n for p, n in server.hits.items() if p not in slack} == {
        p: n for p, n in tries.items() if p not in slack
    }
    assert server.hits["/hang-up.jpg"] >= 3


async def test_retry_after_is_honoured(server: HostileServer) -> None:
    async with opened(quick(server)) as stage:
        began = time.monotonic()
        await image(stage, server.url("/429-once.jpg"))
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("path", ["/slow-header.jpg", "/stalled.jpg", "/drip.jpg"])
async def test_slow_servers_cost_no_more_than_the_total_timeout(
    server: HostileServer, path: str
) -> None:
    options = quick(server, attempts=1, read_timeout=0.3, total_timeout=0.6)
    async with opened(options) as stage:
        began = time.monotonic()
        assert await reason(stage, server.url(path)) == "timeout"
    assert time.monotonic() - began < 2


async def test_the_bound_on_bytes_holds_for_what_is_declared_and_for_what_comes(
    server: HostileServer,
) -> None:
    size = len(pictures.photo(1))
    async with opened(quick(server, max_bytes=size)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "accepted"
    async with opened(quick(server, max_bytes=size - 1)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "too-large"
        assert await reason(stage, server.url("/gzip-bomb.jpg")) == "too-large"


async def test_waiting_for_a_connection_of_the_pool_is_not_the_servers_fault(
    server: HostileServer,
) -> None:
    # Ten answers of 0.3 s, one at a time, are three seconds; each of them is well in time.
    options = quick(server, attempts=1, per_host=1, total_timeout=1.5)
    async with opened(options) as stage:
        began = time.monotonic()
        reasons = await asyncio.gather(*(reason(stage, server.url("/late.jpg")) for _ in range(10)))
    assert time.monotonic() - began > 2.5
    assert reasons == ["accepted"] * 10


async def test_the_deadline_holds_again_after_the_wait(server: HostileServer) -> None:
    options = quick(server, attempts=1, per_host=1, read_timeout=9, total_timeout=0.5)
    async with opened(options) as stage:
        began = time.monotonic()
        reasons = await asyncio.gather(
            *(reason(stage, server.url("/slow-header.jpg")) for _ in range(3))
        )
    assert reasons == ["timeout"] * 3
    assert time.monotonic() - began < 4


async def test_a_server_that_is_not_allowed_is_not_even_asked(server: HostileServer) -> None:
    async with opened(quick(server, allow_hosts=[])) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "private-address"
        assert await reason(stage, f"http://localhost:{server.port}/photo.jpg") == "private-address"
    assert not server.hits


async def test_allowing_is_by_name_and_port(server: HostileServer) -> None:
    async with opened(quick(server, allow_hosts=["LocalHost"])) as stage:
        assert await reason(stage, f"http://localhost:{server.port}/photo.jpg") == "accepted"
        assert await reason(stage, server.url("/photo.jpg")) == "private-address"
    other_port = [f"127.0.0.1:{server.port - 1}"]
    async with opened(quick(server, allow_hosts=other_port)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "private-address"


async def test_a_kept_connection_does_not_open_the_door_for_another_name(
    server: HostileServer,
) -> None:
    async with opened(quick(server)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "accepted"
        assert await reason(stage, f"http://localhost:{server.port}/photo.jpg") == "private-address"
        assert await reason(stage, server.url("/to-other-name.jpg")) == "private-address"
    assert server.hits["/photo.jpg"] == 1


async def test_proxies_of_the_environment_are_ignored(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with opened(quick(server)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "accepted"


async def test_what_is_asked_for(server: HostileServer) -> None:
    async with opened(quick(server, user_agent="tester/1")) as stage:
        await image(stage, server.url("/photo.jpg"))
    headers = server.headers["/photo.jpg"]
    assert headers["User-Agent"] == "tester/1"
    assert headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in headers


async def test_hosts_that_take_no_connection_or_do_not_exist(server: HostileServer) -> None:
    closed = server.host
    await server.stop()
    async with opened(quick(server, allow_hosts=[closed])) as stage:
        assert await reason(stage, f"http://{closed}/photo.jpg") == "connect"
        assert await reason(stage, "http://no-such-host.invalid/photo.jpg") == "dns"


async def test_https_that_is_none(server: HostileServer) -> None:
    async with opened(quick(server)) as stage:
        assert await reason(stage, f"https://{server.host}/photo.jpg") == "tls"


@pytest.mark.parametrize("entry", ["a b", "http://host/", "user@host", "host:99999", "host/x", ""])
async def test_a_bad_list_of_allowed_hosts_is_a_setting_error(
    server: HostileServer, entry: str
) -> None:
    with pytest.raises(SettingsError):
        await Fetch(quick(server, allow_hosts=[entry]), MemoryStore()).open()
