"""The embedded stack's object store: when it can be read, and what a broken write leaves."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from densefusion.errors import StoreError
from densefusion.settings import Settings
from densefusion.stack import EmbeddedStack
from densefusion.store import ObjectStore

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


class BreakingOff:
    """In place of the store's connections: sends the head of a request, and dies."""

    def request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> None:
        where = urlsplit(url)
        head = [f"{method} {where.path}?{where.query} HTTP/1.1", f"Host: {where.netloc}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head += [f"Content-Length: {len(body)}", "", ""]
        with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
            connection.sendall("\r\n".join(head).encode())
            time.sleep(0.1)
        raise urllib3.exceptions.ProtocolError("killed")

    def clear(self) -> None: ...


def test_what_is_stored_can_be_read_as_soon_as_it_is_up(tmp_path: Path) -> None:
    """The store's volumes report some time after its S3 server answers, often seconds."""
    for start in range(3):
        with EmbeddedStack(tmp_path, durable=False) as stack:
            settings = stack.apply(Settings(_env_file=None)).store
            store = ObjectStore(settings.model_copy(update={"retry_for": 0.001}))
            if start == 0:
                store.make_bucket()
                store.write("object", b"bytes")
            assert store.read("object") == b"bytes"
            store.close()


def test_a_write_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker killed between the head of a PUT and its body."""
    with EmbeddedStack(tmp_path / "data", durable=False) as stack:
        settings = stack.apply(Settings(_env_file=None)).store
        direct = ObjectStore(settings)
        direct.make_bucket()
        tag = asyncio.run(direct.put_if("shard", b"good" * 1000, None))
        dying = ObjectStore(settings.model_copy(update={"retry_for": 0.5}))
        monkeypatch.setattr(dying, "_http", BreakingOff())
        with pytest.raises(StoreError):
            asyncio.run(dying.put_if("shard", b"better" * 1000, tag))
        time.sleep(1)  # the server may be at it still
        assert direct.read("shard") == b"good" * 1000
