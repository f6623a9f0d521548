"""What becomes of a record: its outputs, a reject, or a dead letter, encoded and addressed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from consumers.source import Arrival, Headers, offset, place
from consumers.stage import Emit, Rejected
from consumers.transaction import Outgoing
from densefusion import metrics
from densefusion.attempts import ATTEMPT, attempt
from densefusion.topics import DEAD_LETTERS, REJECTS
from schemas import Codec

log = logging.getLogger("densefusion.outputs")

# Headers that travel from a URL to its caption: which run it belongs to, its trace, its attempt.
CARRIED = ("run", "traceparent", ATTEMPT)
_DETAIL = 2000
_KEPT_INPUT = 256 << 10  # bytes; Kafka's own limit for a message is a million


class Outputs:
    """Encodes what a stage gives back.

    Args:
        prefix: put before every topic's name.
    """

    def __init__(self, stage: str, codec: Codec, prefix: str) -> None:
        self._stage = stage
        self._codec = codec
        self._prefix = prefix

    def emitted(self, emits: Sequence[Emit], arrival: Arrival) -> list[Outgoing]:
        """The records that a stage emits for a record. Raises `schemas.SchemaError`."""
        if not emits:
            return []
        headers = carried(arrival)
        return [
            self._encode(emit, headers if emit.ends else [h for h in headers if h[0] != "run"])
            for emit in emits
        ]

    def rejected(self, rejected: Rejected, arrival: Arrival) -> list[Outgoing]:
        """The reject that a record becomes."""
        record = arrival.record
        assert record is not None
        metrics.REJECTS.labels(self._stage, rejected.reason).inc()
        log.debug("reject %s: %s", record.key, rejected)
        reject = {
            "url_id": record.value.get("url_id", ""),
            "url": record.value.get("url", ""),
            "image_id": record.value.get("image_id"),
            "stage": self._stage,
            "reason": rejected.reason,
            "detail": _utf8(rejected.detail[:_DETAIL]).decode(),
            "duplicate_of": rejected.duplicate_of,
            "rejected_at": datetime.now(UTC),
            "attempt": attempt(_headers(arrival)),
            "input": _input(arrival),
        }
        return [self._encode(Emit(REJECTS, record.key, reject, "Reject"), carried(arrival))]

    def dead_letter(self, error: BaseException, arrival: Arrival) -> list[Outgoing]:
        """The untouched message, with headers that say where it was and why it died."""
        message = arrival.message
        topic, partition = place(message)
        metrics.DEAD_LETTERS.labels(self._stage).inc()
        about = {
            "topic": topic,
            "partition": str(partition),
            "offset": str(offset(message)),
            "stage": self._stage,
            "exception": repr(error)[:_DETAIL],
        }
        headers: Headers = [(f"dead-letter-{name}", _utf8(text)) for name, text in about.items()]
        return [
            Outgoing(
                self._prefix + DEAD_LETTERS,
                message.key(),
                message.value(),
                [*_headers(arrival), *headers],
            )
        ]

    def count(self, outgoing: Sequence[Outgoing]) -> None:
        """Count what has been committed."""
        for topic, number in Counter(message.topic for message in outgoing).items():
            metrics.RECORDS_OUT.labels(self._stage, topic).inc(number)

    def _encode(self, emit: Emit, headers: Headers) -> Outgoing:
        topic = self._prefix + emit.topic
        value = emit.value
        if not isinstance(value, bytes):
            value = self._codec.encode(emit.schema, value, topic)
        return Outgoing(topic, emit.key.encode(), value, headers)


def carried(arrival: Arrival) -> Headers:
    """The headers of a record that its outputs carry on."""
    headers = arrival.message.headers()
    if not headers:
        return []
    return [(name, value) for name, value in _headers(arrival) if name in CARRIED]


def _input(arrival: Arrival) -> dict[str, Any]:
    """The message as it came, for `densefusion.replay`; without its value if that is too large."""
    message = arrival.message
    topic, partition = place(message)
    key, value, headers = message.key(), message.value(), _headers(arrival)
    size = len(key or b"") + len(value or b"")
    size += sum(len(name) + len(held or b"") for name, held in headers)
    found = {"topic": topic, "partition": partition, "offset": offset(message)}
    if size > _KEPT_INPUT:
        return found
    return found | {
        "key": key,
        "value": value,
        "headers": [{"name": name, "value": held} for name, held in headers],
    }


def _utf8(text: str) -> bytes:
    """Text from the web may hold a lone surrogate; what reports a failure must not fail itself."""
    return text.encode("utf-8", "replace")


def _headers(arrival: Arrival) -> Headers:
    headers = arrival.message.headers() or []
    return list(headers.items()) if isinstance(headers, dict) else headers
