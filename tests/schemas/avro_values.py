"""Hypothesis strategies for the values of an Avro schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastavro import parse_schema
from hypothesis import strategies as st

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": _TEXT,
    "bytes": st.binary(max_size=12),
}
_TIMES = st.integers(0, 4_000_000_000_000).map(lambda ms: _EPOCH + timedelta(milliseconds=ms))


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Values that fit `schema`."""
    named: dict[str, Any] = {}
    return _values(parse_schema(schema, named_schemas=named), named)


def _values(schema: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(schema, list):
        return st.one_of(*(_values(each, named) for each in schema))
    if isinstance(schema, str):
        return _SIMPLE[schema] if schema in _SIMPLE else _values(named[schema], named)
    match schema["type"]:
        case "record":
            return st.fixed_dictionaries(
                {field["name"]: _values(field["type"], named) for field in schema["fields"]}
            )
        case "array":
            return st.lists(_values(schema["items"], named), max_size=3)
        case "map":
            return st.dictionaries(_TEXT, _values(schema["values"], named), max_size=3)
        case "enum":
            return st.sampled_from(schema["symbols"])
        case "long" if schema.get("logicalType") == "timestamp-millis":
            return _TIMES
        case kind:
            return _values(kind, named)
