"""What a message is to the join: as much of it as the join needs, and a record when it leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from confluent_kafka import Message

from consumers.source import offset
from consumers.stage import Record
from densefusion.logs import seldom
from schemas import Codec, SchemaError

log = logging.getLogger("densefusion.join")


class Part:
    """A message with what was read of it.

    Attributes:
        of: offset of the image that a prior is of; None where it cannot be read.
        failed: why an expert has no findings.
        error: why the message cannot be read.
    """

    __slots__ = ("error", "failed", "image_id", "message", "of")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.image_id = ""
        self.of: int | None = None
        self.failed: str | None = None
        self.error: Exception | None = None

    def record(self, topic: str, number: int, read: Callable[[bytes], dict[str, Any]]) -> Record:
        """The record in it; `read` decodes it, when it is asked for."""
        message = self.message
        key = (message.key() or b"").decode("utf-8", "replace")
        return Record(topic, number, offset(message), key, None, message.value() or b"", read)


class LatePrior(Record):
    """A prior of `expert` that came when its image had left."""

    __slots__ = ("expert",)

    def __init__(self, expert: str, record: Record) -> None:
        super().__init__(
            record.topic,
            record.partition,
            record.offset,
            record.key,
            None,
            record.raw,
            record._read,
        )
        self.expert = expert


class LateLog:
    """Logs priors that were dropped as late, added up."""

    def __init__(self) -> None:
        self._seldom = seldom()
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        if self._seldom("late") is not None:
            log.info("late priors dropped", extra={"stage": "fusion", "count": self._count})
            self._count = 0


class Parts:
    """Looks at images from outside, and of a prior reads no more than its image and how it went."""

    def __init__(self, codec: Codec, experts: Iterable[str]) -> None:
        self._check = partial(codec.check, "Image")
        self._answers = {name: partial(codec.answer, f"Prior:{name}") for name in experts}

    def image(self, message: Message) -> Part:
        """An image; one that there is no way to read has its `error`. Its key is its id."""
        part = Part(message)
        try:
            self._check(message.value())
        except SchemaError as error:
            part.error = error
        part.image_id = (message.key() or b"").decode("utf-8", "replace")
        return part

    def prior(self, name: str, message: Message) -> Part:
        """A prior of the expert `name`; one that cannot be read has its `error`."""
        part = Part(message)
        number = message.partition()
        try:
            answer = self._answers[name](message.value())
        except SchemaError as error:
            part.error = error
            return part
        if answer.expert != name or answer.partition != number:
            part.error = SchemaError(
                f"a prior of {answer.expert} for partition {answer.partition}, "
                f"on partition {number} of {name}"
            )
            return part
        part.image_id = answer.image_id
        part.of = answer.offset
        if answer.reason is not None:
            part.failed = f"failed: {answer.reason}"
        return part
