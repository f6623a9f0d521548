"""A Schema Registry's two calls, in memory."""

from __future__ import annotations

from schemas.files import Schema


class InMemoryRegistry:
    """Gives ids from 1 on; one id for equal schemas, as the real one does."""

    def __init__(self) -> None:
        self.schemas: list[Schema] = []
        self.subjects: list[str] = []
        self.asked: list[int] = []

    def register(self, subject: str, schema: Schema) -> int:
        self.subjects.append(subject)
        if schema not in self.schemas:
            self.schemas.append(schema)
        return self.schemas.index(schema) + 1

    def schema(self, schema_id: int) -> Schema:
        self.asked.append(schema_id)
        if not 1 <= schema_id <= len(self.schemas):
            raise LookupError(schema_id)
        return self.schemas[schema_id - 1]
