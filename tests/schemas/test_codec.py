"""The codec: what is written is read, and what cannot be read says why."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas import Codec, SchemaError
from schemas.codec import CONFLUENT, SINGLE_OBJECT, rabin
from schemas.files import RECORDS, Schema, findings_schema, load, prior_schema, substitute
from tests.schemas.avro_values import values
from tests.schemas.in_memory_registry import InMemoryRegistry
from tests.schemas.kept import EXPERTS

NAMES = [*RECORDS, *(f"Prior:{expert}" for expert in EXPERTS)]
NOW = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
REJECT: dict[str, Any] = {
    "url_id": "u",
    "url": "https://example.org/ä.jpg",
    "image_id": None,
    "stage": "fetch",
    "reason": "http-404",
    "detail": "",
    "duplicate_of": None,
    "rejected_at": NOW,
    "attempt": 2,
    "input": {
        "topic": "urls",
        "partition": 1,
        "offset": 7,
        "key": b"u",
        "value": b"\x00\xff",
        "headers": [{"name": "run", "value": b"r"}, {"name": "empty", "value": None}],
    },
}


def schema(name: str) -> Schema:
    expert = name.partition(":")[2]
    return prior_schema(findings_schema(expert)) if expert else load(name)


def codec(registry: InMemoryRegistry | None = None) -> Codec:
    made = Codec(registry)
    for expert in EXPERTS:
        made.add(f"Prior:{expert}", schema(f"Prior:{expert}"))
    return made


CODEC = codec()
CONFLUENT_CODEC = codec(InMemoryRegistry())


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip_in_both_framings(name: str, data: st.DataObject) -> None:
    value = data.draw(values(schema(name)))
    raw = CODEC.encode(name, value, "topic")
    assert raw[:10] == SINGLE_OBJECT + rabin(schema(name))
    assert CODEC.decode(name, raw) == value
    framed = CONFLUENT_CODEC.encode(name, value, "topic")
    assert framed[:1] == CONFLUENT and framed[5:] == raw[10:]
    assert CONFLUENT_CODEC.decode(name, framed) == value
    assert CONFLUENT_CODEC.decode(name, raw) == value, "both framings are read"


def test_fingerprint_is_avros_own() -> None:
    # From the test data of Avro's specification: the schema "int", little-endian.
    assert rabin("int").hex() == "8f5c393f1ad57572"  # type: ignore[arg-type]


def test_fingerprints_differ() -> None:
    assert len({rabin(schema(name)) for name in NAMES}) == len(NAMES)


def test_fingerprint_ignores_docs_and_order_of_attributes() -> None:
    plain = load("Reject")
    shuffled = dict(reversed(plain.items())) | {"doc": "another"}
    assert rabin(shuffled) == rabin(plain)


def test_defaults_fill_what_is_left_out() -> None:
    value = {"url_id": "u", "url": "https://example.org/", "published_at": NOW}
    found = CODEC.decode("ImageUrl", CODEC.encode("ImageUrl", value, "urls"))
    assert found == value | {"alt_text": None, "page_url": None, "source": "", "extra": {}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None},
        {"url": 5},
        {"url": "\ud800"},
        {"rejected_at": "yesterday"},
        {"image_id": 5},
    ],
)
def test_value_that_does_not_fit(wrong: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="Reject does not fit its schema"):
        CODEC.encode("Reject", REJECT | wrong, "rejects")


def test_missing_field() -> None:
    value = {key: each for key, each in REJECT.items() if key != "url"}
    with pytest.raises(SchemaError, match="url"):
        CODEC.encode("Reject", value, "rejects")


@pytest.mark.parametrize("raw", [b"", None])
def test_empty(raw: bytes | None) -> None:
    with pytest.raises(SchemaError, match="Reject: the message has no value"):
        CODEC.decode("Reject", raw)


@pytest.mark.parametrize("registry", [None, InMemoryRegistry()])
def test_truncated_anywhere(registry: InMemoryRegistry | None) -> None:
    made = codec(registry)
    raw = made.encode("Reject", REJECT, "rejects")
    for length in range(len(raw)):
        with pytest.raises(SchemaError):
            made.decode("Reject", raw[:length])


def test_trailing_bytes() -> None:
    raw = CODEC.encode("Reject", REJECT, "rejects")
    with pytest.raises(SchemaError, match="Reject: 3 bytes left over"):
        CODEC.decode("Reject", raw + b"\x00\x00\x00")


def test_unknown_fingerprint() -> None:
    with pytest.raises(SchemaError, match="unknown schema, 0102030405060708"):
        CODEC.decode("Reject", SINGLE_OBJECT + bytes(range(1, 9)) + b"body")


@pytest.mark.parametrize("raw", [b"{}", b"\xc3\x02aaaaaaaaaaa", b"\x01\x00\x00\x00\x01"])
def test_unframed(raw: bytes) -> None:
    with pytest.raises(SchemaError, match="not an Avro record of ours"):
        CODEC.decode("Reject", raw)


def test_wrong_record() -> None:
    raw = CODEC.encode("Reject", REJECT, "rejects")
    for name in NAMES:
        if name != "Reject":
            with pytest.raises(SchemaError, match=name):
                CODEC.decode(name, raw)


def test_prior_of_another_expert() -> None:
    value = {
        "image_id": "i", "partition": 0, "offset": 1, "object_key": "k", "expert": "ocr",
        "model": "m", "model_version": "1", "status": "ok", "findings": {"lines": []},
        "seconds": 0.5, "made_at": NOW,
    }  # fmt: skip
    raw = CODEC.encode("Prior:ocr", value, "priors.ocr")
    with pytest.raises(SchemaError, match="Prior:tagging"):
        CODEC.decode("Prior:tagging", raw)


@given(raw=st.binary(max_size=80), start=st.sampled_from(["", *NAMES]), name=st.sampled_from(NAMES))
@example(raw=b"\x01", start="Reject", name="Reject")  # a string of negative length
@example(raw=b"\xfe" * 9 + b"\x01", start="Reject", name="Reject")  # and of 2^62
@settings(max_examples=500, deadline=None)
def test_random_bytes_raise_nothing_else(raw: bytes, start: str, name: str) -> None:
    """`start`: they stand behind a header that promises a record."""
    if start:
        raw = SINGLE_OBJECT + rabin(schema(start)) + raw
    try:
        value = CODEC.decode(name, raw)
    except SchemaError as error:
        assert str(error).startswith(name)
    else:
        assert set(value) == {field["name"] for field in schema(name)["fields"]}


# -- a Schema Registry ---------------------------------------------------------------------------


def test_schemas_are_registered_once_under_their_topics() -> None:
    registry = InMemoryRegistry()
    made = codec(registry)
    for topic in ("rejects", "rejects", "other.rejects"):
        made.encode("Reject", REJECT, topic)
    assert registry.subjects == ["rejects-value", "other.rejects-value"]


def test_registered_schemas_are_asked_for_once() -> None:
    registry = InMemoryRegistry()
    raw = codec(registry).encode("Reject", REJECT, "rejects")
    reader = codec(registry)
    assert reader.decode("Reject", raw) == reader.decode("Reject", raw) == REJECT
    assert registry.asked == [1]


def test_registered_schema_of_another_version_is_resolved() -> None:
    registry = InMemoryRegistry()
    newer = {**load("Reject"), "fields": [*load("Reject")["fields"]]}
    newer["fields"].append({"name": "severity", "type": "int", "default": 0})
    writer = Codec(registry)
    writer.add("Reject", newer)
    raw = writer.encode("Reject", REJECT | {"severity": 3}, "rejects")
    assert codec(registry).decode("Reject", raw) == REJECT


def test_registry_without_that_id() -> None:
    with pytest.raises(SchemaError, match="Reject: the Schema Registry has no id 77"):
        CONFLUENT_CODEC.decode("Reject", CONFLUENT + struct.pack(">I", 77) + b"body")


def test_framed_for_a_registry_and_there_is_none() -> None:
    raw = CONFLUENT_CODEC.encode("Reject", REJECT, "rejects")
    with pytest.raises(SchemaError, match=r"for a Schema Registry \(id \d+\), and none is"):
        CODEC.decode("Reject", raw)


@pytest.mark.parametrize("foreign", [None, "string", {"type": "record"}, "org.other.Unknown", 5])
def test_registered_schema_that_is_none_of_avro(foreign: Any) -> None:
    """A registry is shared: an id may be anybody's schema, and JSON Schema's or Protobuf's too."""
    registry = InMemoryRegistry()
    registry.schemas.append(foreign)
    with pytest.raises(SchemaError, match="Reject"):
        codec(registry).decode("Reject", CONFLUENT + struct.pack(">I", 1) + b"\x02a")


# -- the files -----------------------------------------------------------------------------------


def test_substitute_defines_a_type_once() -> None:
    inner: Schema = {"type": "record", "name": "Inner", "fields": []}
    outer: Schema = {
        "type": "record",
        "name": "Outer",
        "doc": "Inner",
        "fields": [{"name": "a", "type": ["null", "Inner"]}, {"name": "b", "type": "Inner"}],
    }
    found = substitute(outer, "Inner", inner)
    assert found["fields"][0]["type"] == ["null", inner]
    assert found["fields"][1]["type"] == "Inner" and found["doc"] == "Inner"


def test_unknown_record() -> None:
    with pytest.raises(KeyError):
        load("Nothing")
