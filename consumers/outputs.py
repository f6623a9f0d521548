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
from densefusion import clients, metrics
from densefusion.attempts import ATTEMPT, attempt
from densefusion.topics import DEAD_LETTERS, REJECTS, URLS
from densefusion.tracing import TRACEPARENT, TRACESTATE
from schemas import Codec

log = logging.getLogger("densefusion.outputs")

# Headers that travel from a URL to its caption: which run it belongs to, its trace, its attempt.
CARRIED = ("run", TRACEPARENT, TRACESTATE, ATTEMPT)
_DETAIL = 2000
_OVERHEAD = 64  # bytes of a message, or of a header, beside its contents: at the most
_KEPT_INPUT = 256 << 10  # bytes; Kafka's own limit for a message is a million


class TooLarge(Exception):
    """A record that no message can hold."""


class Outputs:
    """Encodes what a stage gives back.

    Args:
        prefix: put before every topic's name.
        largest: bytes of a message that the producer takes. It refuses what is larger, so that it
            could never be committed, nor what comes after it.
    """

    def __init__(
        self, stage: str, codec: Codec, prefix: str, *, largest: int = clients.LARGEST
    ) -> None:
        self._stage = stage
        self._codec = codec
        self._prefix = prefix
        self._largest = largest

    def emitted(self, emits: Sequence[Emit], arrival: Arrival) -> list[Outgoing]:
        """The records that a stage emits for a record. Raises `schemas.SchemaError`, `TooLarge`."""
        if not emits:
            return []
        headers = carried(arrival)
        return [
            self._encode(
                emit, headers if emit.ends else [h for h in headers if h[0] != "run"], arrival
            )
            for emit in emits
        ]

    def rejected(self, rejected: Rejected, arrival: Arrival) -> list[Outgoing]:
        """The reject that a record becomes."""
        record = arrival.record
        assert record is not None
        metrics.REJECTS.labels(self._stage, rejected.reason).inc()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("rejected", extra=self._about(arrival) | {
                "reason": rejected.reason, "detail": rejected.detail,
            })  # fmt: skip
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
        if arrival.trace is not None:
            arrival.trace.rejected(rejected.reason)
        emit = Emit(REJECTS, record.key, reject, "Reject")
        return [self._encode(emit, carried(arrival), arrival)]

    def dead_letter(self, error: BaseException, arrival: Arrival) -> list[Outgoing]:
        """The untouched message, with headers that say where it was and why it died.

        Where that is more than a message can hold, the message stays where it is: a header says how
        large it was.
        """
        message = arrival.message
        topic, partition = place(message)
        log.warning("dead letter", exc_info=error, extra=self._about(arrival) | {
            "error": repr(error),
        })  # fmt: skip
        metrics.DEAD_LETTERS.labels(self._stage).inc()
        about = {
            "topic": topic,
            "partition": str(partition),
            "offset": str(offset(message)),
            "stage": self._stage,
            "exception": repr(error)[:_DETAIL],
        }
        headers = _headers(arrival)
        topic = self._prefix + DEAD_LETTERS
        if arrival.trace is not None:
            arrival.trace.died(error)
            headers = arrival.trace.send(topic, "", headers)
        marks: Headers = [(f"dead-letter-{name}", _utf8(text)) for name, text in about.items()]
        key, value = message.key(), message.value()
        out = Outgoing(topic, key, value, [*headers, *marks])
        if self._fits(out):
            return [out]
        marks.append(("dead-letter-size", str(len(value or b"")).encode()))
        headers = [each for each in headers if each[0] in CARRIED]
        out = Outgoing(topic, key, None, [*headers, *marks])
        return [out if self._fits(out) else Outgoing(topic, None, None, marks)]

    def count(self, outgoing: Sequence[Outgoing]) -> None:
        """Count what has been committed."""
        for topic, number in Counter(message.topic for message in outgoing).items():
            metrics.RECORDS_OUT.labels(self._stage, topic).inc(number)

    def _about(self, arrival: Arrival) -> dict[str, Any]:
        """Fields of a log line: which record it is, and where it lies."""
        topic, partition = place(arrival.message)
        key = (arrival.message.key() or b"").decode("utf-8", "replace")
        # The key of a URL is its url id, of all that follows the image's.
        of = "url_id" if topic == self._prefix + URLS else "image_id"
        about = {"stage": self._stage, of: key, "topic": topic, "partition": partition}
        return about | {"offset": offset(arrival.message)}

    def _encode(self, emit: Emit, headers: Headers, arrival: Arrival) -> Outgoing:
        topic = self._prefix + emit.topic
        if arrival.trace is not None:
            headers = arrival.trace.send(topic, emit.key, headers)
        value = emit.value
        if not isinstance(value, bytes):
            value = self._codec.encode(emit.schema, value, topic)
        out = Outgoing(topic, emit.key.encode(), value, headers)
        if not self._fits(out):
            raise TooLarge(f"{emit.schema} of {len(value)} bytes; a message takes {self._largest}")
        return out

    def _fits(self, out: Outgoing) -> bool:
        size = len(out.key or b"") + len(out.value or b"") + _OVERHEAD
        size += sum(len(name) + len(held or b"") + _OVERHEAD for name, held in out.headers)
        return size <= self._largest


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
