"""A TLS server that is nothing else: it shakes hands, and says no more."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from trustme import LeafCert


class TlsServer:
    """Runs from `with` to its end, on 127.0.0.1. Without a certificate it hangs up on everybody."""

    def __init__(self, certificate: LeafCert | None, *, ca: str | None = None) -> None:
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._context)
            if ca is not None:
                self._context.load_verify_locations(ca)
                self._context.verify_mode = ssl.CERT_REQUIRED
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> TlsServer:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            if self._context is None:
                connection.recv(1)
                return
            with self._context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)
