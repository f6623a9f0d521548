"""Spans of a worker's records: whose children they are, what they link to, what is not traced."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from consumers.join_source import JoinSource
from consumers.outputs import Outputs
from consumers.source import Arrival, Headers, drain
from consumers.stage import Emit, Rejected
from consumers.traces import Traces
from densefusion import tracing
from densefusion.errors import SettingsError
from densefusion.settings_telemetry import Tracing
from tests.consumers.messages import arrival, message
from tests.consumers.records import CODEC, image, prior, url

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01".encode()
UNSAMPLED = f"00-{TRACE}-{SPAN}-00".encode()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    settings = Tracing(enabled=True, ratio=1)
    tracing.start(settings, "densefusion-test", SimpleSpanProcessor(exporter))
    yield exporter
    tracing.stop()


def begun(came: Arrival, *, first: bool = False) -> Arrival:
    tracer = tracing.tracer()
    assert tracer is not None
    Traces(tracer, "curate", "x.curate", first=first).begin(came)
    return came


def came(headers: Headers | None = None) -> Arrival:
    return arrival(("x.fetched", 3), 17, image(), headers)


def parent(headers: Sequence[tuple[str, Any]]) -> tuple[str, str]:
    """Trace and span of a ``traceparent``."""
    version, trace, span, flags = dict(headers)["traceparent"].decode().split("-")
    assert (version, flags) == ("00", "01")
    return trace, span


def ids(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_a_record_continues_its_trace_and_hands_it_on(spans: InMemorySpanExporter) -> None:
    record = begun(came([("run", b"r"), ("traceparent", SAMPLED), ("tracestate", b"them=1")]))
    assert record.trace is not None
    with record.trace.current(), tracing.child("decode"):
        pass
    outputs = Outputs("curate", CODEC, "x.")
    (out,) = outputs.emitted([Emit("images", "k", image(), "Image")], record)
    record.trace.worked()
    assert [span.name for span in spans.get_finished_spans()] == ["decode", "process x.fetched"]
    record.trace.committed()
    decode, process, send = spans.get_finished_spans()
    assert send.name == "send x.images"
    assert {ids(each)[0] for each in (decode, process, send)} == {TRACE}
    assert process.parent is not None and f"{process.parent.span_id:016x}" == SPAN
    assert decode.parent == send.parent == process.get_span_context()
    assert parent(out.headers) == ids(send)
    assert [name for name, _ in out.headers] == ["run", "traceparent", "tracestate"]
    assert (process.kind, send.kind) == (SpanKind.CONSUMER, SpanKind.PRODUCER)
    attributes = dict(process.attributes or {})
    assert attributes["messaging.system"] == "kafka"
    assert attributes["messaging.destination.name"] == "x.fetched"
    assert attributes["messaging.destination.partition.id"] == "3"
    assert attributes["messaging.kafka.offset"] == 17
    assert attributes["messaging.consumer.group.name"] == "x.curate"
    assert attributes["densefusion.stage"] == "curate"
    assert process.resource.attributes["service.name"] == "densefusion-test"


def test_each_output_is_sent_by_itself(spans: InMemorySpanExporter) -> None:
    record = begun(came([("traceparent", SAMPLED)]))
    emits = [Emit("images", "k", image(), "Image"), Emit("images", "k", image(), "Image")]
    first, second = Outputs("curate", CODEC, "x.").emitted(emits, record)
    assert parent(first.headers)[0] == parent(second.headers)[0] == TRACE
    assert parent(first.headers)[1] != parent(second.headers)[1]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [("run", b"r")],
        [("traceparent", UNSAMPLED)],
        [("traceparent", b"garbage1")],
        [("traceparent", None)],
    ],
)
def test_what_is_not_sampled_has_no_span_and_no_new_header(
    spans: InMemorySpanExporter, headers: Headers | None
) -> None:
    record = begun(came(headers))
    assert record.trace is None
    (out,) = Outputs("curate", CODEC, "x.").emitted([Emit("images", "k", image(), "Image")], record)
    assert out.headers == (headers or []), "carried as it came"
    assert spans.get_finished_spans() == ()


def test_fetch_begins_traces_of_urls_that_nobody_traced(spans: InMemorySpanExporter) -> None:
    record = begun(arrival(("x.urls", 0), 1, url()), first=True)
    assert record.trace is not None
    record.trace.worked()
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    somebody_decided = begun(arrival(("x.urls", 0), 2, url(), [("traceparent", UNSAMPLED)]))
    assert somebody_decided.trace is None


def test_the_ratio_decides_where_nobody_did() -> None:
    exporter = InMemorySpanExporter()
    tracing.start(Tracing(enabled=True, ratio=0), "x", SimpleSpanProcessor(exporter))
    try:
        assert tracing.sending("urls", "k") is None
        assert begun(arrival(("urls", 0), 1, url()), first=True).trace is None
        assert begun(came([("traceparent", SAMPLED)])).trace is not None, "but not where they did"
    finally:
        tracing.stop()


def test_a_reject_is_no_error_and_carries_its_trace(spans: InMemorySpanExporter) -> None:
    record = begun(came([("traceparent", SAMPLED)]))
    (out,) = Outputs("curate", CODEC, "x.").rejected(Rejected("duplicate"), record)
    assert record.trace is not None
    record.trace.worked()
    (span,) = spans.get_finished_spans()
    assert parent(out.headers)[0] == TRACE
    assert (span.attributes or {})["densefusion.reject.reason"] == "duplicate"
    assert span.status.status_code is StatusCode.UNSET


def test_a_dead_letter_is_an_error_and_keeps_its_trace(spans: InMemorySpanExporter) -> None:
    record = begun(came([("traceparent", SAMPLED), ("other", b"o")]))
    error = ValueError("https://u:opensesame@host/ " + "x" * 50_000)
    (out,) = Outputs("curate", CODEC, "x.").dead_letter(error, record)
    assert record.trace is not None
    record.trace.worked()
    (span,) = spans.get_finished_spans()
    assert parent(out.headers)[0] == TRACE
    assert dict(out.headers)["other"] == b"o"
    assert span.status.status_code is StatusCode.ERROR
    (event,) = span.events
    said = str((event.attributes or {})["exception.message"])
    assert len(said) <= 1000 and "opensesame" not in said


def test_a_joined_record_links_to_its_priors(spans: InMemorySpanExporter) -> None:
    topics = {"ocr": "priors.ocr", "tagging": "priors.tagging"}
    source = JoinSource("images", topics, CODEC, window=10, deadline=60)
    source.assigned([("images", 0), *((topic, 0) for topic in topics.values())])
    messages = [message("images", 0, 5, CODEC.encode("Image", image(), "images"),
                        image()["image_id"].encode(), [("traceparent", SAMPLED)])]  # fmt: skip
    theirs = {}
    for number, (name, topic) in enumerate(topics.items(), 1):
        value = CODEC.encode(f"Prior:{name}", prior(name, offset=5), topic)
        theirs[name] = f"{number:016x}"
        sampled = f"00-{TRACE}-{theirs[name]}-01".encode()
        messages.append(message(topic, 0, 9, value, b"k", [("traceparent", sampled)]))
    source.offer(messages, 0.0)
    (joined,) = drain(source, 0.1)
    record = begun(joined)
    assert record.trace is not None
    record.trace.worked()
    (span,) = spans.get_finished_spans()
    assert span.parent is not None and f"{span.parent.span_id:016x}" == SPAN
    assert {f"{link.context.span_id:016x}" for link in span.links} == set(theirs.values())


def test_off_is_off() -> None:
    tracing.start(Tracing(), "x")
    assert tracing.tracer() is None
    assert tracing.sending("urls", "k") is None
    assert tracing.child("a") is tracing.child("b"), "nothing is made"


def test_children_are_only_made_of_what_is_traced(spans: InMemorySpanExporter) -> None:
    with tracing.child("of nothing"):
        pass
    assert spans.get_finished_spans() == ()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"densefusion\[tracing\]"):
        tracing.start(Tracing(enabled=True), "x")
    assert tracing.tracer() is None
