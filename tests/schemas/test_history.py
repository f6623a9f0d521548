"""Records of the past stay readable: every kept schema against today's, by Avro's resolution."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Codec
from schemas.codec import SINGLE_OBJECT, rabin
from schemas.files import Schema, history, read
from tests.schemas.avro_values import values
from tests.schemas.kept import COMMAND, EXPERTS, HISTORY, today, unkept, versions

COPIES = sorted(HISTORY.glob("*/*.avsc"))


def identify(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def write(schema: Schema, value: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(schema, named_schemas={}), value)
    return out.getvalue()


def resolve(raw: bytes, old: Schema, new: Schema) -> Any:
    return schemaless_reader(
        io.BytesIO(raw), parse_schema(old, named_schemas={}), parse_schema(new, named_schemas={})
    )


def test_todays_schemas_are_kept() -> None:
    changed = unkept()
    assert not changed, (
        f"{', '.join(changed)} changed and no copy is kept: make sure that the change is one that "
        "Avro can resolve (a new field needs a default), then run "
        f"`{COMMAND}` and commit the new folder under schemas/history"
    )


def test_every_copy_belongs_to_a_schema_of_today() -> None:
    assert {path.stem for path in COPIES} == set(today())
    assert all(path.parent.name.isdigit() for path in COPIES)


def test_codec_knows_every_copy() -> None:
    assert {rabin(schema) for schema in history()} == {rabin(read(path)) for path in COPIES}


@pytest.mark.parametrize("copy", COPIES, ids=identify)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_old_records_are_readable(copy: Path, data: st.DataObject) -> None:
    old, new = read(copy), today()[copy.stem]
    value = data.draw(values(old))
    found = resolve(write(old, value), old, new)
    for field in new["fields"]:
        if field["name"] not in value:
            assert field["name"] in found  # its default
        elif field["type"] in ("string", "int", "long", "boolean"):
            assert found[field["name"]] == value[field["name"]]


@pytest.mark.parametrize("copy", COPIES, ids=identify)
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_codec_reads_old_records(copy: Path, data: st.DataObject) -> None:
    codec = Codec()
    for expert in EXPERTS:
        codec.add(f"Prior:{expert}", today()[f"Prior.{expert}"])
    old = read(copy)
    value = data.draw(values(old))
    name = copy.stem.replace(".", ":")
    found = codec.decode(name, SINGLE_OBJECT + rabin(old) + write(old, value))
    assert set(found) == {field["name"] for field in today()[copy.stem]["fields"]}


def test_an_incompatible_change_would_be_noticed() -> None:
    """The check above can fail: a new field without a default cannot be resolved."""
    (copy, *_) = versions("Reject")
    old = read(copy)
    new = {**old, "fields": [*old["fields"], {"name": "severity", "type": "int"}]}
    value = dict.fromkeys(("url_id", "url", "stage", "reason"), "") | {"rejected_at": 0}
    with pytest.raises(Exception, match="severity"):
        resolve(write(old, value), old, new)
