"""``/metrics``, ``/healthz`` and ``/readyz`` of a worker process, from a thread of their own.

So a worker whose event loop is stuck still answers, and says so. ``/healthz`` fails where starting
the process anew would help, ``/readyz`` also where it takes no part in the work for another reason.
"""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from densefusion.errors import DependencyError, SettingsError

_AT_ONCE = 64  # requests; whoever comes then is hung up on


class PortTaken(DependencyError):
    """Another process listens where the metrics were to be served."""


class Vital(Protocol):
    """One worker of the process; asked from another thread."""

    stage: str

    def stuck(self) -> str | None:
        """Why it should be started anew, or None."""

    def unready(self) -> str | None:
        """Why it takes no part in the work, or None."""


class Health:
    """The server. It stops with the context.

    Args:
        port: to listen on; 0 for a free one.
        host: address to listen on; an IPv6 one, too.

    Attributes:
        port: the one that it listens on.
        workers: the process's own, once there are.
        checks: what else has to be well for it to be ready; each says what is not, or None.

    Raises:
        PortTaken: somebody listens on it.
        SettingsError: it cannot be had for another reason.
    """

    def __init__(self, port: int, host: str = "0.0.0.0") -> None:
        # Workers are watched from other hosts.
        self.workers: Sequence[Vital] = ()
        self.checks: Mapping[str, Callable[[], str | None]] = {}
        self._metrics = make_wsgi_app()
        try:
            server = _Server6 if ":" in host else _Server
            self._server = make_server(host, port, self._answer, server, _Silent)
        except OSError as error:
            said = f"worker.metrics_port: {host}, port {port}: {error.strerror}"
            if error.errno == errno.EADDRINUSE:  # it may be free at the next start
                raise PortTaken(said) from error
            raise SettingsError(said) from error
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    def __enter__(self) -> Health:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/healthz":
                wrong = {each.stage: each.stuck() for each in self.workers}
                return _told(start, wrong)
            case "/readyz":
                wrong = {each.stage: each.unready() for each in self.workers}
                if not wrong:
                    wrong = {"process": "starting"}
                wrong |= {name: check() for name, check in self.checks.items()}
                return _told(start, wrong)
            case "/metrics":
                body: Iterable[bytes] = self._metrics(environ, start)
                return body
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /healthz, /readyz\n"]


def _told(start: Any, wrong: dict[str, str | None]) -> Iterable[bytes]:
    reasons = {name: why for name, why in wrong.items() if why is not None}
    start(
        "503 Service Unavailable" if reasons else "200 OK",
        [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
    )
    return [json.dumps({"ok": not reasons, "why": reasons}).encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, *arguments: Any) -> None:
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        # As its parent's, which also looks up the host's name: that takes as long as DNS likes.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news either."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    timeout = 10  # a client that says nothing is not waited for

    def log_message(self, format: str, *args: object) -> None:
        """Probes are no news."""
