"""An object store on a real port, with as much of S3 as `densefusion.store` asks for, and faults.

It checks no signatures. Errors are S3's XML; conditions are RFC 9110's (``If-Match``,
``If-None-Match: *``).
"""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"


class S3Server:
    """Runs from `with` to its end.

    Attributes:
        objects: bytes by bucket/key.
        faults: answers to give before doing anything, one a request: (status, code), or None to do
            the work and then hang up without an answer.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: list[tuple[int, str] | None] = []
        self.always: tuple[int, str] | None = None
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> S3Server:
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self, method: str, key: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, str | None]:
        """Status, body, and the object's ETag."""
        held = self.objects.get(key)
        if method == "PUT":
            if headers.get("if-none-match") == "*" and held is not None:
                return 412, _error("PreconditionFailed"), None
            if (match := headers.get("if-match")) is not None:
                if held is None:
                    return 404, _error("NoSuchKey"), None
                if match != _etag(held):
                    return 412, _error("PreconditionFailed"), None
            self.objects[key] = body
            return 200, b"", _etag(body)
        if held is None:
            return 404, _error("NoSuchKey"), None
        return 200, held, _etag(held)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                key = unquote(urlsplit(self.path).path).lstrip("/")
                headers = {name.lower(): value for name, value in self.headers.items()}
                owner.requests.append(f"{self.command} {key}")
                owner.headers.append(headers)
                fault = owner.faults.pop(0) if owner.faults else owner.always or ()
                if isinstance(fault, tuple) and fault:
                    self._send(fault[0], _error(fault[1]), None)
                    return
                answer = owner.answer(self.command, key, body, headers)
                if fault is None:
                    self.close_connection = True
                else:
                    self._send(*answer)

            def _send(self, status: int, body: bytes, etag: str | None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                if etag is not None:
                    self.send_header("ETag", etag)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = _do

            def log_message(self, *_: object) -> None: ...

        return Handler


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _error(code: str) -> bytes:
    return _ERROR.format(code=code).encode()
