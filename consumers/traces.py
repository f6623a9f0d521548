"""The spans of a worker's records: one while a record is worked on, one for each output's way.

    process urls ─┬─ GET, put, ...          what the stage does
                  └─ send fetched           until the transaction is committed
                       └─ process fetched   the next stage, of whose message it is the parent

A record that a join hands out continues its image's trace, and links to those of its priors. What
is not sampled has no `Trace`, and no header.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from consumers.source import Arrival, Headers, offset, place
from densefusion import logs, tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message
    from opentelemetry.trace import Link, Span, Tracer


class Traces:
    """Makes the traces of one stage's records.

    Args:
        group: full name of the consumer group.
        first: a record without a context begins a trace, if it is sampled.
    """

    def __init__(self, tracer: Tracer, stage: str, group: str, *, first: bool) -> None:
        self._tracer = tracer
        self._stage = stage
        self._group = group
        self._first = first

    def begin(self, arrival: Arrival) -> None:
        """Give the arrival its trace, if it is sampled."""
        headers = header_list(arrival.message)
        context = tracing.remote(headers)
        if context is None:
            if not self._first or any(name == tracing.TRACEPARENT for name, _ in headers):
                return
            from opentelemetry.context import Context

            context = Context()
        from opentelemetry.trace import SpanKind

        topic, partition = place(arrival.message)
        key = (arrival.message.key() or b"").decode("utf-8", "replace")
        span = self._tracer.start_span(
            f"process {topic}",
            context,
            kind=SpanKind.CONSUMER,
            links=_links(arrival.joined),
            attributes={
                "densefusion.stage": self._stage,
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.consumer.group.name": self._group,
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": offset(arrival.message),
                "messaging.kafka.message.key": key,
                "messaging.message.body.size": len(arrival.message.value() or b""),
            },
        )
        if span.is_recording():
            arrival.trace = Trace(span)


class Trace:
    """The trace of one record in work."""

    __slots__ = ("_sending", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._sending: list[Span] = []

    def current(self) -> AbstractContextManager[Any]:
        """Within it, further spans are of this record."""
        from opentelemetry.trace import use_span

        # What a stage raises is told by `rejected` and `died`.
        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def rejected(self, reason: str) -> None:
        """A reject is an outcome, not an error."""
        self._span.set_attribute("densefusion.reject.reason", reason)

    def died(self, error: BaseException) -> None:
        """The record is a dead letter, or its worker stops."""
        from opentelemetry.trace import StatusCode

        kind = type(error).__qualname__
        said = {"exception.type": kind, "exception.message": logs.redacted(str(error))}
        self._span.add_event("exception", said)
        self._span.set_attribute("error.type", kind)
        self._sending.clear()  # what it was to publish is not published
        self._span.set_status(StatusCode.ERROR)

    def send(self, topic: str, key: str, headers: Headers) -> Headers:
        """The headers of an output, which is on its way from now on."""
        from opentelemetry.trace import set_span_in_context

        span = tracing.sending(topic, key, set_span_in_context(self._span))
        if span is None:
            return headers
        self._sending.append(span)
        return tracing.with_span(headers, span)

    def worked(self) -> None:
        """The work is over, one way or the other."""
        self._span.end()

    def committed(self) -> None:
        """The outputs are where they were sent. (Those of a record that was lost to another worker
        never are: their spans are never ended, and so never seen.)"""
        for span in self._sending:
            span.end()
        self._sending.clear()


def header_list(message: Message) -> Headers:
    """A message's headers, of which the client has two forms."""
    headers = message.headers() or []
    return list(headers.items()) if isinstance(headers, dict) else headers


def _links(messages: Sequence[Message]) -> list[Link]:
    from opentelemetry.trace import Link, get_current_span

    found = []
    for message in messages:
        if (context := tracing.remote(header_list(message))) is not None:
            found.append(Link(get_current_span(context).get_span_context()))
    return found
