"""What a reject or a dead letter once was: the message as it lay on its topic.

A dead letter is that message, with headers of its own behind the message's. A reject carries it in
its field ``input`` (`schemas/reject.avsc`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from confluent_kafka import Message

from densefusion.attempts import ATTEMPT, attempt
from schemas import Codec, SchemaError

Headers = list[tuple[str, bytes | None]]

_DEAD_LETTER = "dead-letter-"
_ABOUT = ("topic", "partition", "offset", "stage", "exception")
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Origin:
    """A message as it was on `topic` (its full name), before a stage gave it up."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def attempt(self) -> int:
        """1 for a message that has never been put back."""
        return attempt(self.headers)

    @property
    def identity(self) -> bytes:
        """16 bytes that stand for this message and no other.

        Its place alone would not do: a topic made anew counts its offsets from zero again.
        """
        place = f"{self.topic}\0{self.partition}\0{self.offset}\0".encode()
        return blake2b(place + (self.value or b""), digest_size=16).digest()

    def next_headers(self) -> Headers:
        """Its headers, for the next attempt."""
        kept = [(name, value) for name, value in self.headers if name != ATTEMPT]
        return [*kept, (ATTEMPT, str(self.attempt + 1).encode())]


@dataclass(frozen=True, slots=True)
class Found:
    """One message of ``rejects`` or ``dead-letters``.

    Attributes:
        place: where it lies, such as ``rejects/0/17``.
        time: of its writing, milliseconds since 1970, UTC.
        stage, reason: who gave it up, and why: a reject's reason, a dead letter's exception.
        subject: its URL, or else its key, for a person.
        origin: None where `problem` says why there is no way back.
    """

    place: str
    time: int
    stage: str
    reason: str
    subject: str
    origin: Origin | None
    problem: str | None = None


def of_dead_letter(message: Message) -> Found:
    """What a message of ``dead-letters`` was."""
    headers = _headers(message)
    about, kept = _split(headers)
    origin, problem = None, None
    try:
        origin = Origin(
            about["topic"],
            int(about["partition"]),
            int(about["offset"]),
            message.key(),
            message.value(),
            kept,
        )
    except (KeyError, ValueError):
        problem = "its headers do not say where it was"
    # Behind all the others, where the record was left out: one of its own headers cannot be there.
    if origin is not None and headers[-1][0] == _DEAD_LETTER + "size":
        where = _joined(origin.topic, origin.partition, origin.offset)
        origin, problem = None, f"the record was too large to be kept; it was at {where}"
    return Found(
        place=_place(message),
        time=message.timestamp()[1],
        stage=about.get("stage", _UNKNOWN),
        reason=about.get("exception", _UNKNOWN),
        subject=(message.key() or b"").decode("utf-8", "replace"),
        origin=origin,
        problem=problem,
    )


def of_reject(message: Message, codec: Codec) -> Found:
    """What a message of ``rejects`` was."""
    try:
        reject = codec.decode("Reject", message.value())
    except SchemaError as error:
        key = (message.key() or b"").decode("utf-8", "replace")
        why = f"the reject cannot be read: {error}"
        time = message.timestamp()[1]
        return Found(_place(message), time, _UNKNOWN, "unreadable", key, None, why)
    origin, problem = _rejected(reject["input"])
    return Found(
        place=_place(message),
        time=message.timestamp()[1],
        stage=reject["stage"],
        reason=reject["reason"],
        subject=reject["url"] or reject["image_id"] or reject["url_id"],
        origin=origin,
        problem=problem,
    )


def _rejected(kept: Mapping[str, Any] | None) -> tuple[Origin | None, str | None]:
    if kept is None:
        return None, "the reject does not hold the record: an older version wrote it"
    place = (kept["topic"], kept["partition"], kept["offset"])
    if kept["value"] is None:
        return None, f"the record was too large to be kept; it was at {_joined(*place)}"
    headers = [(each["name"], each["value"]) for each in kept["headers"]]
    return Origin(*place, kept["key"], kept["value"], headers), None


def _split(headers: Headers) -> tuple[dict[str, str], Headers]:
    """What the headers say of a dead letter, and those that it had when it was none.

    Ours are the last of their names: the message may have had some of the same name.
    """
    about: dict[str, str] = {}
    kept: Headers = []
    for name, value in reversed(headers):
        ours = name.removeprefix(_DEAD_LETTER) if name.startswith(_DEAD_LETTER) else ""
        if ours in _ABOUT and ours not in about:
            about[ours] = (value or b"").decode("utf-8", "replace")
        else:
            kept.append((name, value))
    return about, kept[::-1]


def _headers(message: Message) -> Headers:
    headers: Any = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _place(message: Message) -> str:
    return _joined(message.topic() or "", message.partition() or 0, message.offset() or 0)


def _joined(topic: str, partition: int, offset: int) -> str:
    return f"{topic}/{partition}/{offset}"
