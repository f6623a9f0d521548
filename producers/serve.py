"""A folder of images over HTTP, so that local files take the same way as the web's.

The server listens on the loopback address only, unless told otherwise. A file's URL is
``http://127.0.0.1:8791/<tag>/<path in the folder>``, the tag being the folder's own (from its real
path). It stays the same from run to run as long as the default port is free; where another is
taken instead, URLs and so url ids differ, and the images' ids, which are their bytes', do not.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote, unquote_to_bytes

from aiohttp import web

from densefusion.errors import SourceError
from producers import folder

PORT = 8791
_CHUNK = 256 << 10
_START_SECONDS = 10

log = logging.getLogger(__name__)


class FolderServer:
    """Serves the image files below a folder from a thread of its own.

    Only GET and HEAD, only files that `folder.inside` admits: no way out of the folder by ``..``,
    by an encoded slash or by a link; no hidden files; nothing that is not an image by its name.

    Args:
        top: the folder.
        port: to listen on; None: `PORT` if it is free, else any free one.
        host: address to listen on, and to name in the URLs.
    """

    def __init__(self, top: Path, *, port: int | None = None, host: str = "127.0.0.1") -> None:
        self.root = top.resolve()
        self.host = host
        self.tag = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        self._socket = _bound(host, port)
        self.port = int(self._socket.getsockname()[1])
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="folder-server", daemon=True)
        self._ready = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> FolderServer:
        """Starts answering. Raises SourceError if that fails."""
        self._thread.start()
        self._ready.wait(_START_SECONDS)
        if self._failure is not None or not self._ready.is_set():
            raise SourceError(f"cannot serve {self.root}: {self._failure or 'no answer'}")
        return self

    def stop(self) -> None:
        """Stops; may be called again, or without a start."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_START_SECONDS)
        self._socket.close()

    def __enter__(self) -> FolderServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def url(self, path: Path) -> str | None:
        """The URL of an image file; None if it is not served. A relative path is the folder's."""
        if folder.inside(self.root, self.root / path) is None:
            return None
        name = os.path.relpath(os.path.normpath(self.root / path), self.root)
        if any(part.startswith(".") for part in Path(name).parts):  # reached through a link
            name = os.path.relpath((self.root / path).resolve(), self.root)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/{self.tag}/{quote(os.fsencode(name))}"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failure = error
            log.error(
                "server of pictures ended", extra={"folder": str(self.root), "error": str(error)}
            )
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = web.Server(self._answer, access_log=None)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            self._ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        path = self._path(request.raw_path)
        if path is None:
            return web.Response(status=404)
        try:
            # The path is a real one: a link that takes its place meanwhile is refused.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return web.Response(status=404)
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            response = web.StreamResponse(
                headers={
                    "Content-Type": folder.MIME[path.suffix.lower()],
                    "Content-Length": str(size),
                    "X-Content-Type-Options": "nosniff",
                }
            )
            try:
                await response.prepare(request)
                if request.method == "GET":
                    await _send(file, size, response)
                await response.write_eof()
            except (ConnectionError, EOFError):  # the client is gone, or the file has shrunk
                if request.transport is not None:
                    request.transport.abort()
        return response

    def _path(self, raw: str) -> Path | None:
        """The file that a request's target names, or None."""
        start = f"/{self.tag}/"
        if not raw.startswith(start):
            return None
        encoded = raw.removeprefix(start).split("?", 1)[0]
        steps = os.fsdecode(unquote_to_bytes(encoded)).split("/")
        if any(not step or step.startswith(".") or "\\" in step for step in steps):
            return None
        return folder.inside(self.root, self.root.joinpath(*steps))


async def _send(file: IO[bytes], size: int, response: web.StreamResponse) -> None:
    while size > 0:
        chunk = await asyncio.to_thread(file.read, min(_CHUNK, size))
        if not chunk:
            raise EOFError
        size -= len(chunk)
        await response.write(chunk)


def _bound(host: str, port: int | None) -> socket.socket:
    failure: OSError | None = None
    for each in [PORT, 0] if port is None else [port]:
        try:
            return socket.create_server(
                (host, each), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            failure = error
    raise SourceError(f"cannot listen on {host}:{port or PORT}: {failure}") from failure
