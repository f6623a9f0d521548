"""Messages as a poll gives them: the client's own class, filled by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message

from consumers.source import Arrival, Headers, TopicPartition
from consumers.stage import Record
from consumers.transaction import Outgoing


def message(
    topic: str,
    partition: int,
    offset: int,
    value: bytes | None = b"",
    key: bytes | None = b"key",
    headers: Headers | None = None,
) -> Message:
    return Message(
        topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers
    )


def arrival(
    lane: TopicPartition,
    offset: int,
    value: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
    raw: bytes = b"raw",
) -> Arrival:
    """The arrival of a record of one topic."""
    topic, partition = lane
    return Arrival(
        lane,
        {lane: offset + 1},
        message(topic, partition, offset, raw, headers=headers),
        Record(topic, partition, offset, "key", dict(value or {}), raw),
    )


def outgoing(value: bytes = b"out") -> Outgoing:
    return Outgoing("out", b"key", value, [])
