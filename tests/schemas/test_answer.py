"""What a prior says before its findings, read by hand: as a decoder of Avro reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Codec, SchemaError
from schemas.answer import FIELDS
from schemas.files import HERE, read
from tests.consumers.records import CODEC, image, prior

NAME = "Prior:ocr"
texts = st.text(st.characters(codec="utf-8"), max_size=200)
heads = st.fixed_dictionaries(
    {
        "image_id": texts,
        "partition": st.integers(-(2**31), 2**31 - 1),
        "offset": st.integers(-(2**63), 2**63 - 1),
        "object_key": texts,
        "expert": texts,
        "model": texts,
        "model_version": texts,
        "status": st.sampled_from(["ok", "failed"]),
        "reason": st.none() | texts,
    }
)


@given(heads)
def test_it_is_what_a_decoder_reads(head: dict[str, Any]) -> None:
    raw = CODEC.encode(NAME, prior("ocr") | head, "")
    found, value = CODEC.answer(NAME, raw), CODEC.decode(NAME, raw)
    for field in ("image_id", "partition", "offset", "expert"):
        assert getattr(found, field) == value[field]
    failed = value["status"] == "failed"
    assert found.reason == ((value["reason"] or "") if failed else None)


@given(heads, st.integers(0, 400), st.binary(max_size=30))
def test_hostile_bytes_are_a_schema_error_or_an_answer(
    head: dict[str, Any], at: int, noise: bytes
) -> None:
    raw = CODEC.encode(NAME, prior("ocr") | head, "")
    for hostile in (raw[:10] + noise, raw[: at + 10], raw[: at + 10] + noise + raw[at + 10 :]):
        try:
            found = CODEC.answer(NAME, hostile)
        except SchemaError:
            continue
        assert isinstance(found.image_id, str) and isinstance(found.offset, int)


@given(heads, st.integers(0, 9))
def test_a_prior_that_is_cut_off_before_its_findings_is_none(
    head: dict[str, Any], fields: int
) -> None:
    short = {"image_id": "i", "object_key": "k", "expert": "e", "model": "m", "model_version": "1"}
    raw = CODEC.encode(NAME, prior("ocr") | head | short | {"reason": "why"}, "")
    with pytest.raises(SchemaError):
        CODEC.answer(NAME, raw[: 10 + fields])


@pytest.mark.parametrize("raw", [None, b"", b"garbage", b"\xc3\x01garbage!"])
def test_what_is_no_record_is_a_schema_error(raw: bytes | None) -> None:
    with pytest.raises(SchemaError):
        CODEC.answer(NAME, raw)


def test_a_record_of_another_kind_is_a_schema_error() -> None:
    with pytest.raises(SchemaError):
        CODEC.answer(NAME, CODEC.encode("Image", image(), ""))


def test_another_experts_prior_says_so() -> None:
    assert (
        CODEC.answer(NAME, CODEC.encode("Prior:tagging", prior("tagging"), "")).expert == "tagging"
    )


def test_priors_written_with_another_beginning_are_decoded() -> None:
    """By an expert that is older or newer than we are, with a field more before the others."""
    today = read(HERE / "prior.avsc")
    fields = [field for field in CODEC._schemas[NAME]["fields"]]
    later = {**today, "fields": [{"name": "more", "type": "int"}, *fields]}
    other = Codec()
    other.add(NAME, later)
    raw = other.encode(NAME, prior("ocr", offset=7) | {"more": 1}, "")
    reader = Codec()
    reader.add("later", later)
    reader.add(NAME, CODEC._schemas[NAME])
    assert reader.answer(NAME, raw).offset == 7


def test_the_schema_begins_as_it_is_read() -> None:
    fields = read(HERE / "prior.avsc")["fields"][: len(FIELDS)]
    kinds = [each["type"] for each in fields]
    shapes = [kind["symbols"] if isinstance(kind, dict) else kind for kind in kinds]
    assert [*zip((each["name"] for each in fields), shapes, strict=True)] == list(FIELDS)
