"""What the object store's client counts, and when it says that the store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from densefusion.errors import StoreError
from densefusion.store import Conflict, Missing, ObjectStore
from tests.densefusion.s3_server import S3Server
from tests.densefusion.test_store import settings


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"densefusion_store_{name}", labels) or 0.0


def errors() -> dict[str, float]:
    kinds = ("connection", "timeout", "status-5xx", "other")
    return {kind: value("errors_total", operation="get", kind=kind) for kind in kinds}


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture
def store(server: S3Server) -> Iterator[ObjectStore]:
    made = ObjectStore(settings(server.endpoint))
    yield made
    made.close()


async def test_operations_and_bytes_are_counted(store: ObjectStore) -> None:
    names = ("get", "put")
    times = {name: value("seconds_count", operation=name) for name in names}
    sizes = {name: value("bytes_total", operation=name) for name in names}
    await store.put("key", b"12345", "text/plain")
    await store.put_if("other", b"123", None)
    with pytest.raises(Conflict):
        await store.put_if("other", b"123", None)
    await store.get("key")
    store.read("key")
    with pytest.raises(Missing):
        await store.get("nothing")
    counted = {name: value("seconds_count", operation=name) - times[name] for name in names}
    moved = {name: value("bytes_total", operation=name) - sizes[name] for name in names}
    assert counted == {"get": 3, "put": 3}
    assert moved == {"get": 10, "put": 8}


async def test_attempts_that_fail_are_counted_by_kind(store: ObjectStore, server: S3Server) -> None:
    before = errors()
    await store.put("key", b"1", "text/plain")
    server.faults = [(500, "InternalError"), None, (429, "TooManyRequests")]
    await store.get("key")
    server.always = (403, "AccessDenied")
    with pytest.raises(StoreError):  # not tried again, and an error all the same
        await store.get("key")
    grown = {kind: number - before[kind] for kind, number in errors().items()}
    assert grown == {"status-5xx": 1, "connection": 1, "other": 2, "timeout": 0}


async def test_it_fails_as_long_as_something_is_tried_again(
    store: ObjectStore, server: S3Server
) -> None:
    await store.put("key", b"1", "text/plain")
    assert store.failing() is None
    server.always = (503, "SlowDown")
    getting = asyncio.create_task(store.get("key"))
    async with asyncio.timeout(5):
        while store.failing() is None:
            await asyncio.sleep(0.01)
    assert "SlowDown" in (store.failing() or "")
    server.always = None
    assert await getting == b"1"
    assert store.failing() is None


async def test_a_store_that_was_given_up_fails_no_more(server: S3Server) -> None:
    """Who gave it up stops, or goes on without; nothing would ever say that it is well again."""
    server.always = (500, "InternalError")
    made = ObjectStore(settings(server.endpoint, retry_for=0.3))
    with pytest.raises(StoreError):
        await made.get("key")
    assert made.failing() is None
    made.close()
