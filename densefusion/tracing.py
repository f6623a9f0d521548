"""Tracing by OpenTelemetry: off unless `DENSEFUSION_TRACING__ENABLED`; needs the extra `tracing`.

A trace begins where a URL is published, or, for URLs of somebody else's, at fetch. Its context
travels in the message header ``traceparent`` (W3C Trace Context), which only sampled records get.
Where spans go is said by OpenTelemetry's own variables, ``OTEL_EXPORTER_OTLP_ENDPOINT`` above all.
Names and attributes follow its semantic conventions for messaging and Kafka.

While it is off, or a record is not sampled, `child` costs a comparison and nothing is imported.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from densefusion.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

    from densefusion.settings_telemetry import Tracing

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"  # of other vendors; carried along
Header = tuple[str, "str | bytes | None"]

_SCOPE = "densefusion"
_SAMPLED = frozenset("13579bdf")
_LONGEST = 1000  # characters of an attribute
_FLUSH_SECONDS = 2.0  # a worker leaves within ten
_NOTHING: AbstractContextManager[Any] = nullcontext()

_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def start(settings: Tracing, service: str, processor: SpanProcessor | None = None) -> None:
    """Trace this process, if the settings want it.

    Args:
        service: the resource attribute ``service.name``; OTEL_SERVICE_NAME goes before it.
        processor: takes the spans, instead of the exporter to OTLP over HTTP.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    global _provider, _tracer  # noqa: PLW0603
    if not settings.enabled or _provider is not None:
        return
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

        if processor is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            processor = BatchSpanProcessor(OTLPSpanExporter())
    except ImportError as error:
        needs = 'tracing needs: pip install "densefusion[tracing]"'
        raise SettingsError(f"{needs} ({error})") from None
    named = "OTEL_SERVICE_NAME" in os.environ
    named = named or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {SERVICE_NAME: service})
    _provider = TracerProvider(
        ParentBasedTraceIdRatio(settings.ratio),
        resource,
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attribute_length=_LONGEST, max_attribute_length=_LONGEST),
    )
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer(_SCOPE)


def stop() -> None:
    """Send what is left, for a moment at the most: spans are worth no wait."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        flusher = threading.Thread(target=provider.shutdown, daemon=True)
        flusher.start()
        flusher.join(_FLUSH_SECONDS)


def tracer() -> Tracer | None:
    """What makes this process's spans; None while tracing is off."""
    return _tracer


def child(
    name: str, attributes: Mapping[str, Any] | None = None, *, client: bool = False
) -> AbstractContextManager[Any]:
    """A span within the one that is current; nothing where that is not traced.

    Args:
        client: it calls another server.
    """
    if _tracer is None:
        return _NOTHING
    from opentelemetry.trace import SpanKind, get_current_span

    if not get_current_span().is_recording():
        return _NOTHING
    kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
    return _tracer.start_as_current_span(name, kind=kind, attributes=attributes)


def remote(headers: Iterable[Header]) -> Context | None:
    """The context that a message's headers carry; None where there is none, or it is not sampled
    (which the last digit of the header says)."""
    carrier = {}
    for name, value in headers:
        if name in (TRACEPARENT, TRACESTATE) and value is not None:
            carrier[name] = value.decode("latin-1") if isinstance(value, bytes) else value
    if carrier.get(TRACEPARENT, "")[-1:] not in _SAMPLED:
        return None
    from opentelemetry.context import Context as Empty
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(carrier, Empty())
    return context if get_current_span(context).get_span_context().is_valid else None


def with_span(headers: Iterable[Header], span: Span) -> list[Header]:
    """The headers with the context of `span` in place of what they carried."""
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    rest = [header for header in headers if header[0] not in (TRACEPARENT, TRACESTATE)]
    return rest + [(name, value.encode("latin-1")) for name, value in carrier.items()]


def sending(topic: str, key: str, context: Context | None = None) -> Span | None:
    """The span of one message's way to the brokers, to be ended when they have it; None where it is
    not sampled. Without a `context` it is the first of a trace."""
    if _tracer is None:
        return None
    from opentelemetry.context import Context as Empty
    from opentelemetry.trace import SpanKind

    span = _tracer.start_span(
        f"send {topic}",
        context if context is not None else Empty(),
        kind=SpanKind.PRODUCER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": key,
        },
    )
    return span if span.is_recording() else None
