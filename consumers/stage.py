"""A stage: one coroutine, from a record to the records to emit.

A stage knows no offsets, commits, partitions or threads: `consumers.worker` owns those, once, for
every stage. What a stage may raise is part of its interface:

- `Rejected`: the record ends here, with its reason, on the topic ``rejects``;
- `densefusion.errors.DependencyError`: something that the stage needs is down, after bounded
  retries; the worker stops with that message and its input stays uncommitted;
- anything else: the record itself is at fault, and goes to ``dead-letters`` as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

Value = Mapping[str, Any]


class Record:
    """One record of the stage's input.

    Attributes:
        raw: the message's value as it came.
        joined: filled by a join only: for each expert that answered, its prior.
        missing: filled by a join only: for each expert that did not, why.

    Args:
        value: the record decoded, or None: `read` does it when it is first asked for, so that what
            is only passed on is never decoded.
    """

    __slots__ = (
        "_read", "_value", "joined", "key", "missing", "offset", "partition", "raw", "topic",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: str,
        value: dict[str, Any] | None,
        raw: bytes,
        read: Callable[[bytes], dict[str, Any]] | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.raw = raw
        self.joined: Mapping[str, Record] = _NONE
        self.missing: Mapping[str, str] = _NONE
        self._value = value
        self._read = read

    @property
    def value(self) -> dict[str, Any]:
        """The record, decoded. Raises `schemas.SchemaError` where it cannot be read."""
        if self._value is None:
            assert self._read is not None
            self._value = self._read(self.raw)
        return self._value


# Shared by all records that no join has filled, which is most of them.
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Emit:
    """One record to publish. `schema` names a schema the worker's codec was given.

    `value` may be bytes that are framed already: a record passed on as it came.
    `ends`: whether this is what became of the URL; a record that only replaces an earlier one is
    not, and is not counted to the URL's run.
    """

    topic: str
    key: str
    value: Value | bytes
    schema: str
    ends: bool = True


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
