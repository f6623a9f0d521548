"""The Schema Registry's client against a server that speaks its REST interface."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import Codec, SchemaError
from schemas.codec import CONFLUENT, rabin
from schemas.files import load
from tests.schemas.registry_server import RegistryServer

pytest.importorskip("confluent_kafka.schema_registry")  # the extra `registry`
from schemas.registry import ConfluentRegistry

NOW = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
URL: dict[str, Any] = {
    "url_id": "u", "url": "https://example.org/", "alt_text": "ä", "page_url": None, "source": "",
    "extra": {}, "published_at": NOW,
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as running:
        yield running


def framed(schema_id: int, body: bytes = b"body") -> bytes:
    return CONFLUENT + struct.pack(">I", schema_id) + body


def test_one_writes_and_another_reads(server: RegistryServer) -> None:
    raw = Codec(ConfluentRegistry(server.url)).encode("ImageUrl", URL, "urls")
    assert raw[:5] == framed(1, b"")
    assert Codec(ConfluentRegistry(server.url)).decode("ImageUrl", raw) == URL
    assert server.subjects == ["urls-value"]


def test_what_is_registered_is_the_plain_schema(server: RegistryServer) -> None:
    Codec(ConfluentRegistry(server.url)).encode("ImageUrl", URL, "urls")
    text = server.entries[0]["schema"]
    assert "__fastavro" not in text and "__named" not in text
    assert rabin(json.loads(text)) == rabin(load("ImageUrl"))
    caption = ConfluentRegistry(server.url)
    Codec(caption)  # parses Caption, which holds Image
    caption.register("captions-value", load("Caption"))
    assert rabin(json.loads(server.entries[1]["schema"])) == rabin(load("Caption"))


def test_each_is_asked_for_once(server: RegistryServer) -> None:
    codec = Codec(ConfluentRegistry(server.url))
    raws = [codec.encode("ImageUrl", URL, "urls") for _ in range(3)]
    reader = Codec(ConfluentRegistry(server.url))
    for raw in raws:
        reader.decode("ImageUrl", raw)
    assert len(server.requests) == 2


def test_no_such_id(server: RegistryServer) -> None:
    with pytest.raises(SchemaError, match="no id 9"):
        Codec(ConfluentRegistry(server.url)).decode("ImageUrl", framed(9))


@pytest.mark.parametrize("kind", ["JSON", "PROTOBUF"])
def test_schema_of_another_kind(server: RegistryServer, kind: str) -> None:
    server.entries.append({"schema": 'syntax = "proto3";', "schemaType": kind})
    with pytest.raises(SchemaError, match="no id 1"):
        Codec(ConfluentRegistry(server.url)).decode("ImageUrl", framed(1))


def test_a_broken_server_is_not_the_records_fault(server: RegistryServer) -> None:
    """No SchemaError: that would make dead letters of good records."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    registry = ConfluentRegistry(server.url)
    registry._client = SchemaRegistryClient({"url": server.url, "max.retries": 0})
    server.failing = True
    with pytest.raises(SchemaRegistryError):
        Codec(registry).decode("ImageUrl", framed(1))
