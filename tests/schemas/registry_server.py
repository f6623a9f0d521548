"""A small Schema Registry on a real port: the two calls of Confluent's REST interface that matter.

``POST /subjects/<subject>/versions`` and ``GET /schemas/ids/<id>``, with the documented media type
and errors (40403: schema not found).
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RegistryServer:
    """Runs from `with` to its end; `entries` holds what was registered, id - 1 as index."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []  # schema, schemaType
        self.subjects: list[str] = []
        self.requests: list[str] = []
        self.failing = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RegistryServer:
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = unquote(urlsplit(path).path)
        self.requests.append(f"{method} {path}")
        if self.failing:
            return 500, {"error_code": 50001, "message": "Error in the backend data store"}
        if method == "POST" and (found := re.fullmatch(r"/subjects/(.+)/versions", path)):
            entry = {"schema": body["schema"], "schemaType": body.get("schemaType", "AVRO")}
            if entry not in self.entries:
                self.entries.append(entry)
            self.subjects.append(found[1])
            return 200, {"id": self.entries.index(entry) + 1}
        if method == "GET" and (found := re.fullmatch(r"/schemas/ids/(\d+)", path)):
            if not 1 <= int(found[1]) <= len(self.entries):
                return 404, {"error_code": 40403, "message": f"Schema {found[1]} not found"}
            entry = self.entries[int(found[1]) - 1]
            # The real one names the type only where it is not Avro.
            return 200, {k: v for k, v in entry.items() if v != "AVRO"}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                status, answer = owner.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", _MEDIA_TYPE)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        return Handler
