"""Reading and writing records: Avro, framed.

Two framings, told apart by their first byte. Both are read; one is written:

- ``C3 01``, then the CRC-64-AVRO fingerprint of the writer's schema, little-endian: Avro's
  single-object encoding (specification 1.12, "Single-object encoding"). Needs no server;
- ``00``, then a 4-byte schema id, big-endian: Confluent's wire format, where a Schema Registry is
  configured.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.answer import FIELDS, Answer, AnswerReader
from schemas.files import RECORDS, Schema, history, load
from schemas.splice import Framed, Splice

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
_HEADER = {SINGLE_OBJECT[:1]: 10, CONFLUENT: 5}


class SchemaError(Exception):
    """A record cannot be read or written; the message says which and why."""


class Registry(Protocol):
    """The two calls that the codec makes of a Schema Registry."""

    def register(self, subject: str, schema: Schema) -> int:
        """Id of `schema` under `subject`, registered if it is new."""

    def schema(self, schema_id: int) -> Schema:
        """The schema with that id. Raises LookupError where there is none of Avro's."""


def rabin(schema: Schema) -> bytes:
    """CRC-64-AVRO fingerprint of a schema's parsing canonical form, 8 bytes, little-endian."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class Codec:
    """Writes the schemas it knows by name; reads whatever was written with a schema it can find.

    Knows the records of `schemas.files.RECORDS` and their older versions from the start; `add`
    brings more (the experts' priors).
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._readers: dict[str, Schema] = {}
        self._prefixes: dict[str, bytes] = {}
        self._writers: dict[bytes, Schema] = {}
        self._ids: dict[tuple[str, str], bytes] = {}
        self._schemas: dict[str, Schema] = {}
        self._answers: dict[str, AnswerReader] = {}
        self._nesting: set[str] = set()  # schemas that have records as fields
        self._splices: dict[tuple[str, frozenset[str]], Splice] = {}
        for name in RECORDS:
            self.add(name, load(name))
        for schema in history():
            self._writers.setdefault(rabin(schema), _parse(schema))

    def add(self, name: str, schema: Schema) -> None:
        """Make `schema` known as `name`."""
        parsed = _parse(schema)
        mark = rabin(schema)
        self._schemas[name] = schema
        self._answers[name] = AnswerReader()
        if any(_is_record(field["type"]) for field in schema["fields"]):
            self._nesting.add(name)
        self._readers[name] = parsed
        self._prefixes[name] = SINGLE_OBJECT + mark
        self._writers[mark] = parsed

    def encode(self, name: str, value: Mapping[str, Any], topic: str) -> bytes:
        """The framed record. `topic` gives the subject for a Schema Registry.

        A field of `value` that is a record of ours may be given as it came, as `Framed`.

        Raises:
            SchemaError: the value does not fit the schema.
        """
        out = io.BytesIO()
        out.write(self._prefix(name, topic))
        try:
            if name in self._nesting and (carried := _carried(value)):
                self._splice(name, carried).write(out, value, self._body)
            else:
                schemaless_writer(out, self._readers[name], value)
        except Exception as error:  # fastavro raises whatever the value's type led it into
            raise SchemaError(f"{name} does not fit its schema: {error!r}") from error
        return out.getvalue()

    def decode(self, name: str, raw: bytes | None) -> dict[str, Any]:
        """The record in `raw`, as today's schema `name` has it.

        Raises:
            SchemaError: no framing, an unknown schema, or bytes that do not fit it.
        """
        if not raw:
            raise SchemaError(f"{name}: the message has no value")
        writer = self._writer(name, raw)
        reader = self._readers.get(name)
        body = io.BytesIO(raw)
        body.seek(_HEADER[raw[:1]])
        try:
            value = schemaless_reader(body, writer, None if reader is writer else reader)
        except Exception as error:  # hostile bytes can raise anything here
            raise SchemaError(f"{name}: the bytes do not fit the schema: {error!r}") from error
        if body.tell() != len(raw):
            raise SchemaError(f"{name}: {len(raw) - body.tell()} bytes left over")
        if not isinstance(value, dict):
            raise SchemaError(f"{name}: not a record")
        return value

    def answer(self, name: str, raw: bytes | None) -> Answer:
        """What a prior says before its findings; no more is read.

        Raises:
            SchemaError: no framing, an unknown schema, or bytes that do not fit it.
        """
        if not raw:
            raise SchemaError(f"{name}: the message has no value")
        writer = self._writer(name, raw)
        if writer is not self._readers.get(name) and not _begins_as_prior(writer):
            prior = self.decode(name, raw)
            reason = (prior["reason"] or "") if prior["status"] == "failed" else None
            return Answer(
                prior["image_id"], prior["partition"], prior["offset"], prior["expert"], reason
            )
        try:
            return self._answers[name].read(raw, _HEADER[raw[:1]])
        except (ValueError, IndexError) as error:
            raise SchemaError(f"{name}: the bytes do not fit the schema: {error!r}") from error

    def check(self, name: str, raw: bytes | None) -> None:
        """Raise `SchemaError` where there is no way to read `raw`; its body is not looked into."""
        if not raw:
            raise SchemaError(f"{name}: the message has no value")
        self._writer(name, raw)

    def _splice(self, name: str, carried: frozenset[str]) -> Splice:
        splice = self._splices.get((name, carried))
        if splice is None:
            splice = self._splices[name, carried] = Splice(self._schemas[name], carried)
        return splice

    def _body(self, field: str, raw: bytes) -> bytes:
        """The body of a record that is carried in the field of its name."""
        name = field.capitalize()
        reader = self._readers[name]
        if self._writer(name, raw) is reader:
            return raw[_HEADER[raw[:1]] :]
        out = io.BytesIO()  # written with an older schema
        schemaless_writer(out, reader, self.decode(name, raw))
        return out.getvalue()

    def _prefix(self, name: str, topic: str) -> bytes:
        if self._registry is None:
            return self._prefixes[name]
        prefix = self._ids.get((name, topic))
        if prefix is None:
            schema_id = self._registry.register(f"{topic}-value", self._readers[name])
            prefix = self._ids[name, topic] = CONFLUENT + struct.pack(">I", schema_id)
        return prefix

    def _writer(self, name: str, raw: bytes) -> Schema:
        if raw[:2] == SINGLE_OBJECT and len(raw) >= 10:
            schema = self._writers.get(raw[2:10])
            if schema is None:
                raise SchemaError(f"{name}: written with an unknown schema, {raw[2:10].hex()}")
            return schema
        if raw[:1] == CONFLUENT and len(raw) >= 5:
            return self._registered(name, raw[:5])
        raise SchemaError(f"{name}: not an Avro record of ours, it starts with {raw[:4].hex()}")

    def _registered(self, name: str, prefix: bytes) -> Schema:
        schema = self._writers.get(prefix)
        if schema is None:
            (schema_id,) = struct.unpack(">I", prefix[1:])
            if self._registry is None:
                raise SchemaError(
                    f"{name}: framed for a Schema Registry (id {schema_id}), and none is configured"
                )
            try:
                found = self._registry.schema(schema_id)
            except LookupError as error:
                raise SchemaError(f"{name}: the Schema Registry has no id {schema_id}") from error
            try:
                schema = _parse(found)
            except Exception as error:  # the registry is shared: it may be anybody's, of any kind
                raise SchemaError(
                    f"{name}: no Avro schema has id {schema_id}: {error!r}"
                ) from error
            reader = self._readers.get(name)
            if reader is not None and rabin(schema) == self._prefixes[name][2:]:
                schema = reader  # the same schema: read it without resolution
            self._writers[prefix] = schema
        return schema


def _is_record(kind: Any) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "record"


def _carried(value: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key for key, field in value.items() if type(field) is Framed)


def _begins_as_prior(writer: Schema) -> bool:
    fields = writer.get("fields", [])[: len(FIELDS)]
    return [_shape(field) for field in fields] == list(FIELDS)


def _shape(field: Schema) -> tuple[str, Any]:
    kind = field["type"]
    return field["name"], kind["symbols"] if isinstance(kind, dict) else kind


def _parse(schema: Schema) -> Schema:
    parsed: Schema = parse_schema(schema, named_schemas={})  # type: ignore[assignment]
    return parsed
