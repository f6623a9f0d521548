"""The web that the pictures come from: a server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from aiohttp import web

from tests.chaos import pictures


class PictureServer:
    """Serves ``/<number>`` from `with` to its end; draws each picture when it is asked for.

    Attributes:
        host: host:port.
        requests: answered so far.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._failed: set[int] = set()  # the flaky ones that have been unavailable once
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="web", daemon=True)
        self.host = ""
        self.requests = 0

    def url(self, number: int) -> str:
        return f"http://{self.host}/{number}"

    def __enter__(self) -> PictureServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get(r"/{number:\d+}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.host = f"{host}:{port}"

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        number = int(request.match_info["number"])
        what = pictures.kind(number, self._seed)
        if what == "missing":
            raise web.HTTPNotFound
        if what == "flaky" and number not in self._failed:
            self._failed.add(number)
            raise web.HTTPServiceUnavailable
        return web.Response(body=pictures.body(number, self._seed), content_type="image/jpeg")
