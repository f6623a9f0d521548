"""From Avro to Arrow: the dataset's columns, and tables of its rows.

What Avro has and Parquet's readers (pandas, polars, DuckDB, `datasets`) do not all know is brought
to something that they do:

- a map is a list of structs ``key``, ``value``;
- a union of several types, a record without fields, and a record within itself are text: a string
  stays as it is, the rest becomes JSON;
- every column and field may be null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
from fastavro import parse_schema

from consumers.dataset.rows import (
    CAPTION_COLUMNS,
    PRIOR_COLUMNS,
    REJECT_COLUMNS,
    findings_column,
    json_text,
    json_value,
)
from schemas.files import load, prior_schema

Avro = dict[str, Any] | list[Any] | str
Convert = Callable[[Any], Any]

_JSON = (bool, int, float, list, Mapping)
_PRIMITIVES = {
    "null": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", tz="UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", tz="UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}

_AS_TEXT = {b"avro": b"text"}  # marks the columns that `table` has to turn into text
_ENTRY = ["key", "value"]
_DECIMAL_DIGITS = 38  # of a 128-bit decimal, the widest that DuckDB and polars read


def arrow_type(avro_schema: Avro) -> pa.DataType:
    """The Arrow type that holds the values of an Avro schema, as `table` writes them.

    Raises:
        fastavro.schema.SchemaParseException, fastavro.schema.UnknownType: not an Avro schema.
    """
    named: dict[str, Any] = {}
    parsed = parse_schema(avro_schema, named_schemas=named)
    return _Types(named).field("", parsed).type


def captions_schema(findings: Mapping[str, dict[str, Any]]) -> pa.Schema:
    """The columns of the captions.

    Args:
        findings: for each expert, the Avro schema of its findings: a record. Each becomes a field
            of the column ``priors``; with no expert there is no such column.

    Raises:
        ValueError: an expert's findings are not a record.
    """
    caption = arrow_type(load("Caption"))
    kinds = {column: _at(caption, path) for column, path in CAPTION_COLUMNS.items()}
    kinds["priors"] = pa.struct([(name, _prior_type(name, findings[name])) for name in findings])
    kinds["missing_experts"] = pa.list_(pa.string())
    if not findings:
        del kinds["priors"]  # Parquet has no struct without fields
    return pa.schema(kinds.items())


def rejects_schema() -> pa.Schema:
    """The columns of the rejects."""
    reject = arrow_type(load("Reject"))
    columns = [(column, _at(reject, column)) for column in REJECT_COLUMNS]
    return pa.schema([*columns, ("partition", pa.int32()), ("offset", pa.int64())])


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows (`consumers.dataset.rows`) as a table with exactly the columns of `schema`.

    A value that `schema` has no place for is left out; one that a row lacks is null.
    """
    converters = {field.name: into for field in schema if (into := _converter(field))}
    fitted = [
        {**row, **{name: into(row.get(name)) for name, into in converters.items()}} for row in rows
    ]
    return pa.Table.from_pylist(fitted, schema=schema)


def _prior_type(expert: str, findings: dict[str, Any]) -> pa.DataType:
    prior = arrow_type(prior_schema(findings))
    found = _at(prior, "findings")
    if not pa.types.is_struct(found):
        raise ValueError(f"the findings of expert {expert} are not an Avro record with fields")
    return pa.struct(
        [(column, _at(prior, column)) for column in PRIOR_COLUMNS]
        + [field.with_name(findings_column(field.name)) for field in found]
    )


def _at(struct: pa.DataType, path: str) -> pa.DataType:
    for name in path.split("."):
        struct = struct.field(name).type
    return struct


class _Types:
    """Avro types to Arrow types. Schemas are parsed: `named` holds the named ones by full name."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named

    def field(self, name: str, schema: Any, within: tuple[str, ...] = ()) -> pa.Field:
        """`within` are the records around it."""
        kind = self._type(schema, within)
        if kind is None:
            return pa.field(name, pa.string(), metadata=_AS_TEXT)
        return pa.field(name, kind)

    def _type(self, schema: Any, within: tuple[str, ...]) -> pa.DataType | None:
        """None: nothing in Arrow holds it, and it becomes text."""
        if isinstance(schema, list):
            members = [each for each in schema if each != "null"] or ["null"]
            return self._type(members[0], within) if len(members) == 1 else None
        if isinstance(schema, str):
            return _PRIMITIVES.get(schema) or self._type(self._named[schema], within)
        kind, logical = schema["type"], schema.get("logicalType")
        if kind in ("record", "error", "array", "map"):
            return self._nested(schema, within)
        if (kind, logical) == ("string", "uuid"):
            return None
        if kind in ("bytes", "fixed"):
            return _decimal(schema) if logical == "decimal" else pa.binary(schema.get("size", -1))
        return _LOGICAL.get((kind, logical)) or _PRIMITIVES[kind]

    def _nested(self, schema: Any, within: tuple[str, ...]) -> pa.DataType | None:
        if schema["type"] == "array":
            return pa.list_(self.field("item", schema["items"], within))
        if schema["type"] == "map":
            value = self.field("value", schema["values"], within)
            return pa.list_(pa.struct([pa.field("key", pa.string()), value]))
        name, fields = schema["name"], schema["fields"]
        if name in within or not fields:
            return None
        return pa.struct([self.field(f["name"], f["type"], (*within, name)) for f in fields])


def _decimal(schema: Any) -> pa.DataType | None:
    digits, scale = schema["precision"], schema.get("scale", 0)
    return pa.decimal128(digits, scale) if digits <= _DECIMAL_DIGITS else None


def _converter(field: pa.Field) -> Convert | None:
    """What brings a decoded Avro value into `field`; None where Arrow takes it as it is."""
    if field.metadata == _AS_TEXT:
        return _text
    if pa.types.is_list(field.type):
        return _list_converter(field.type.value_field)
    if pa.types.is_struct(field.type):
        return _struct_converter(field.type)
    return None


def _struct_converter(struct: pa.DataType) -> Convert | None:
    converters = {field.name: into for field in struct if (into := _converter(field))}

    def convert(value: Mapping[str, Any] | None) -> Any:
        if value is None:
            return None
        return {**value, **{name: into(value.get(name)) for name, into in converters.items()}}

    return convert if converters else None


def _list_converter(item: pa.Field) -> Convert | None:
    each = _converter(item)

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):  # a map
            value = [{"key": key, "value": held} for key, held in value.items()]
        return [each(one) for one in value] if each and value else value

    is_map = pa.types.is_struct(item.type) and [field.name for field in item.type] == _ENTRY
    return convert if each or is_map else None


def _text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json_text(value) if isinstance(value, _JSON) else json_value(value)
