"""A stage: one coroutine, from a record to the records to emit.

A stage knows no offsets, commits, partitions or threads: `consumers.worker` owns those, once, for
every stage. What a stage may raise is part of its interface:

- `Rejected`: the record ends here, with its reason, on the topic ``rejects``;
- `densefusion.errors.DependencyError`: something that the stage needs is down, after bounded
  retries; the worker stops with that message and its input stays uncommitted;
- anything else: the record itself is at fault, and goes to ``dead-letters`` as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Value = Mapping[str, Any]


@dataclass(slots=True)
class Record:
    """One record of the stage's input, decoded.

    `raw` is the message's value as it came. `joined` is filled by a join only: for each expert
    that answered, its prior.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: dict[str, Any]
    raw: bytes
    joined: dict[str, Record] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Emit:
    """One record to publish. `schema` names a schema the worker's codec was given."""

    topic: str
    key: str
    value: Value
    schema: str


class Rejected(Exception):
    """This record ends here: bad input is data.

    Args:
        reason: a code from a short fixed list (it becomes a metric's label), such as ``http-404``.
        detail: what happened, for a person.
        duplicate_of: URL of the image that this one repeats.
    """

    def __init__(self, reason: str, detail: str = "", duplicate_of: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.duplicate_of = duplicate_of


class Stage(Protocol):
    """What the worker runs. `open` and `close` frame the life of what `process` needs."""

    name: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """These (topic, partition) are another worker's now; forget what belongs to them."""
