"""A Schema Registry behind the codec (Confluent's REST interface, Karapace's too)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from confluent_kafka.schema_registry import Schema as Registered
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.files import Schema


class ConfluentRegistry:
    """`schemas.codec.Registry` over HTTP; the client caches ids and schemas.

    Args:
        options: further ones of `SchemaRegistryClient`, such as those of a login and TLS.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        # Asked from an event loop: three short tries, some five seconds at the most.
        tries = {"timeout": 5, "max.retries": 2, "retries.wait.ms": 200, "retries.max.wait.ms": 500}
        self._client = SchemaRegistryClient({"url": url, **tries, **(options or {})})

    def register(self, subject: str, schema: Schema) -> int:
        plain = {key: value for key, value in schema.items() if not key.startswith("__")}
        return int(self._client.register_schema(subject, Registered(json.dumps(plain), "AVRO")))

    def schema(self, schema_id: int) -> Schema:
        try:
            found = self._client.get_schema(schema_id)
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                raise LookupError(schema_id) from error
            raise
        if found.schema_type != "AVRO":  # JSON Schema's and Protobuf's share the ids
            raise LookupError(schema_id)
        schema: Schema = json.loads(found.schema_str or "null")
        return schema
