"""A collector of traces for tests: takes OTLP over HTTP, as a real one does."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Received:
    """One span, and the service that it came from."""

    def __init__(self, span: Span, service: str) -> None:
        self.service = service
        self.name = span.name
        self.trace, self.id, self.parent = (
            part.hex() for part in (span.trace_id, span.span_id, span.parent_span_id)
        )
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.links = [link.span_id.hex() for link in span.links]
        self.attributes = {
            each.key: each.value.string_value or each.value.int_value for each in span.attributes
        }


class OtlpReceiver:
    """Listens on loopback; a context manager."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path != "/v1/traces":
                    self.send_error(404)
                    return
                receiver._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, format: str, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [Received(span, names["service.name"]) for span in scope.spans]

    def __enter__(self) -> OtlpReceiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def tree(spans: list[Received]) -> str:
    """A trace as text: each span under its parent, with its start and length in milliseconds."""
    first = min(span.start for span in spans)
    by_id = {span.id: span for span in spans}
    children: dict[str, list[Received]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        children.setdefault(span.parent if span.parent in by_id else "", []).append(span)
    lines: list[str] = []

    def draw(span: Received, depth: int) -> None:
        at, took = (span.start - first) / 1e6, (span.end - span.start) / 1e6
        service = span.service.removeprefix("densefusion-")
        name = f"{'  ' * depth}{span.name}"
        linked = f"  links: {len(span.links)}" if span.links else ""
        lines.append(f"{name:42} {service:10} {at:8.0f} {took:7.0f}{linked}")
        for each in children.get(span.id, []):
            draw(each, depth + 1)

    for span in children.get("", []):
        draw(span, 0)
    return "\n".join(lines)
