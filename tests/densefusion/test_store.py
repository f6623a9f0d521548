"""The object store's client: what is tried again, what is not, and which error comes out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from densefusion.errors import DependencyError, SettingsError, StoreError
from densefusion.settings import Store
from densefusion.store import Conflict, Missing, ObjectStore
from tests.densefusion.s3_server import S3Server


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


def settings(endpoint: str | None, **changes: Any) -> Store:
    keys = {"access_key": SecretStr("a"), "secret_key": SecretStr("s")}
    return Store(**{"endpoint": endpoint, "bucket": "pictures", "retry_for": 20, **keys, **changes})


@pytest.fixture
def store(server: S3Server) -> Iterator[ObjectStore]:
    made = ObjectStore(settings(server.endpoint))
    yield made
    made.close()


async def test_what_is_put_is_got(store: ObjectStore, server: S3Server) -> None:
    await store.put("images/ab/ä b.jpg", b"\x00bytes", "image/jpeg")
    assert server.objects == {"pictures/images/ab/ä b.jpg": b"\x00bytes"}
    assert await store.get("images/ab/ä b.jpg") == b"\x00bytes"
    assert store.read("images/ab/ä b.jpg") == b"\x00bytes"


async def test_missing_is_told_at_once(store: ObjectStore, server: S3Server) -> None:
    with pytest.raises(Missing, match="nothing"):
        await store.get("nothing")
    with pytest.raises(Missing):
        await store.get_tagged("nothing")
    assert len(server.requests) == 2


async def test_only_the_first_claims(store: ObjectStore, server: S3Server) -> None:
    await store.put_if("claim", b"one", None)
    with pytest.raises(Conflict, match="claim"):
        await store.put_if("claim", b"two", None)
    assert server.objects["pictures/claim"] == b"one"
    results = await asyncio.gather(
        *(store.put_if("other", b"%d" % number, None) for number in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in results) == 7


async def test_write_over_what_was_read(store: ObjectStore, server: S3Server) -> None:
    first = await store.put_if("shard", b"one", None)
    assert await store.get_tagged("shard") == (b"one", first)
    second = await store.put_if("shard", b"two", first)
    assert second != first and server.objects["pictures/shard"] == b"two"
    with pytest.raises(Conflict):
        await store.put_if("shard", b"three", first)
    with pytest.raises(Conflict):
        await store.put_if("deleted", b"three", first)


async def test_a_write_beside_another_is_tried_again(store: ObjectStore, server: S3Server) -> None:
    """S3 answers 409 while it is not decided yet which of two is the first."""
    server.faults = [(409, "ConditionalRequestConflict")]
    await store.put_if("claim", b"one", None)
    assert server.objects["pictures/claim"] == b"one"
    server.faults = [(409, "ConditionalRequestConflict")]
    with pytest.raises(Conflict):
        await store.put_if("claim", b"two", None)


async def test_faults_that_pass_are_waited_out(store: ObjectStore, server: S3Server) -> None:
    server.faults = [(503, "SlowDown"), (500, "InternalError")]
    await store.put("key", b"bytes", "text/plain")
    server.faults = [(500, "InternalError")]
    assert await store.get("key") == b"bytes"
    server.faults = [(429, "TooManyRequests"), (503, "SlowDown")]
    await store.put_if("claim", b"one", None)
    assert len(server.requests) == 8


async def test_write_whose_answer_is_lost_meets_itself(
    store: ObjectStore, server: S3Server
) -> None:
    server.faults = [None]
    with pytest.raises(Conflict):
        await store.put_if("claim", b"one", None)
    assert await store.get("claim") == b"one"


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
async def test_what_does_not_pass_is_told_at_once(
    store: ObjectStore, server: S3Server, code: str
) -> None:
    server.always = (403, code)
    with pytest.raises(StoreError, match=code):
        await store.get("key")
    with pytest.raises(StoreError, match=code):
        await store.put_if("key", b"", None)
    assert len(server.requests) == 2


async def test_store_that_stays_down(server: S3Server) -> None:
    server.always = (500, "InternalError")
    made = ObjectStore(settings(server.endpoint, retry_for=0.5))
    began = time.monotonic()
    with pytest.raises(DependencyError, match=f"{server.endpoint}, bucket pictures"):
        await made.put("key", b"", "text/plain")
    assert 0.4 < time.monotonic() - began < 8
    assert len(server.requests) > 1
    made.close()


async def test_nobody_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but not listening: refused
        made = ObjectStore(settings(f"127.0.0.1:{held.getsockname()[1]}", retry_for=0.3))
        for calling in (made.get("k"), made.put("k", b"", "t"), made.put_if("k", b"", None)):
            with pytest.raises(StoreError):
                await calling
        made.close()


def test_keys_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="DENSEFUSION_STORE__ACCESS_KEY"):
        ObjectStore(settings("localhost:1", access_key=SecretStr("")))
    with pytest.raises(SettingsError, match="DENSEFUSION_STORE__ENDPOINT"):
        ObjectStore(settings(None))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    ObjectStore(settings("localhost:1", access_key=SecretStr(""), secret_key=SecretStr(""))).close()


@pytest.mark.parametrize(
    "changes",
    [
        {"bucket": "b"},
        {"bucket": "no/slashes"},
        {"endpoint": "localhost:99999"},
    ],
)
def test_what_cannot_be_is_a_setting_at_fault(changes: dict[str, Any]) -> None:
    """And not, one by one, every record."""
    with pytest.raises(SettingsError, match="object store"):
        ObjectStore(settings(**{"endpoint": "localhost:1", **changes}))


async def test_bucket_that_is_not_there_is_no_missing_object(server: S3Server) -> None:
    """`Missing` would let every image fail for the sake of one wrong setting."""
    server.always = (404, "NoSuchBucket")
    made = ObjectStore(settings(server.endpoint, retry_for=0.3))
    with pytest.raises(StoreError, match="NoSuchBucket"):
        await made.get("key")
    made.close()


async def test_what_is_still_tried_is_given_up_when_the_store_is_closed(server: S3Server) -> None:
    server.always = (500, "InternalError")
    made = ObjectStore(settings(server.endpoint, retry_for=60))
    asking = asyncio.create_task(made.get("a"))
    while not server.requests:
        await asyncio.sleep(0.01)
    made.close()
    with pytest.raises(StoreError):
        await asyncio.wait_for(asking, 10)


def test_every_write_says_what_its_body_is(store: ObjectStore, server: S3Server) -> None:
    store.write("plain", b"abc")
    asyncio.run(store.put_if("once", b"abc", None))
    digest = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    assert [headers["content-md5"] for headers in server.headers] == [digest, digest]
