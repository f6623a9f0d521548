"""Records carried in records as their bytes.

Avro writes a record as its fields one after the other, without anything around them (specification
1.12, "Complex types encoded in binary"), so the body of a record that is nested in another is the
body that it has alone. Where a caller has the inner one as it came, it is put in its place and
neither decoded nor encoded again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastavro import parse_schema, schemaless_writer

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Framed:
    """A record as it came, framing included; stands for its value where it is nested."""

    raw: bytes


class Splice:
    """Writes the records of one schema whose fields `carried` are given as bytes.

    Args:
        schema: of the outer record, as its .avsc has it.
        carried: names of top-level fields.
    """

    def __init__(self, schema: Schema, carried: frozenset[str]) -> None:
        self._parts: list[str | Schema] = []
        named: dict[str, Schema] = {}  # a name is defined where it is first met
        run: list[Schema] = []
        for field in schema["fields"]:
            if field["name"] not in carried:
                run.append(field)
                continue
            self._fields(schema, run, named)
            parse_schema(field["type"], named_schemas=named)
            self._parts.append(field["name"])
            run = []
        self._fields(schema, run, named)

    def write(
        self, out: io.BytesIO, value: Mapping[str, Any], body: Callable[[str, bytes], bytes]
    ) -> None:
        """Write `value`.

        Args:
            body: gives the unframed body of a carried field's record, in today's schema.
        """
        for part in self._parts:
            if isinstance(part, str):
                out.write(body(part, value[part].raw))
            else:
                schemaless_writer(out, part, value)

    def _fields(self, schema: Schema, fields: list[Schema], named: dict[str, Schema]) -> None:
        if fields:
            part = {
                "type": "record",
                "name": f"{schema['name']}Part{len(self._parts)}",
                "namespace": schema.get("namespace", ""),
                "fields": fields,
            }
            self._parts.append(parse_schema(part, named_schemas=named))  # type: ignore[arg-type]
