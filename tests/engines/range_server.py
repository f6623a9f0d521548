"""A hub on a real port: files with ETags, byte ranges, and connections that break off."""

from __future__ import annotations

import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class RangeServer:
    """Runs from `with` to its end.

    Attributes:
        files: bytes by path.
        breaks: numbers of bytes after which the next answers break off; then they are whole.
        failures: statuses that the next answers have.
        requests: path and Range header of each request.
        authorised: its Authorization header.
        statuses: of the answers that had a body.
        ranges: whether byte ranges are served.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []
        self.failures: list[int] = []
        self.requests: list[tuple[str, str | None]] = []
        self.authorised: list[str | None] = []
        self.statuses: list[int] = []
        self.ranges = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RangeServer:
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                wanted = self.headers["Range"]
                outer.requests.append((self.path, wanted))
                outer.authorised.append(self.headers["Authorization"])
                data = outer.files.get(self.path)
                if outer.failures or data is None:
                    self.send_response(outer.failures.pop(0) if outer.failures else 404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                etag = f'"{hashlib.md5(data).hexdigest()}"'
                start = 0
                if wanted and outer.ranges and self.headers["If-Range"] == etag:
                    match = re.fullmatch(r"bytes=(\d+)-", wanted)
                    assert match is not None
                    start = int(match[1])
                    if start >= len(data):
                        self.send_response(416)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                outer.statuses.append(206 if start else 200)
                self.send_response(outer.statuses[-1])
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                until = start + outer.breaks.pop(0) if outer.breaks else len(data)
                self.wfile.write(data[start:until])
                self.close_connection = True

        return Handler
