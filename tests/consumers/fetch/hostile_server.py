"""An HTTP server that misbehaves in every way the web does.

    server = HostileServer()
    await server.start()
    for path, reason in server.rejected.items():
        ...  # fetching server.url(path) must end in a reject with that reason
    for path, picture in server.accepted.items():
        ...  # must end in an image of that size and type
    await server.stop()

Allow `server.host`, exactly that, to be at a private address: some redirects lead to other names
and ports of this machine, and must be refused. `elsewhere` holds URLs that lead to no server.
"""

from __future__ import annotations

import gzip
from collections import Counter
from typing import NamedTuple

import hostile_handlers as misbehave
import hostile_pictures as pictures
from aiohttp import web
from hostile_handlers import Handler
from hostile_pictures import HEIGHT, WIDTH
from hostile_urls import ELSEWHERE


class Picture(NamedTuple):
    """What an accepted path serves. Pixels, after EXIF orientation."""

    width: int
    height: int
    mime: str


class HostileServer:
    """See the module.

    Attributes:
        accepted: path -> the picture it serves, perhaps at the second try.
        rejected: path -> expected reject reason.
        elsewhere: URL -> expected reject reason.
        hits: path -> requests so far.
        headers: path -> headers of its last request.
    """

    def __init__(self) -> None:
        self.accepted: dict[str, Picture] = {}
        self.rejected: dict[str, str] = {}
        self.elsewhere = ELSEWHERE
        self.hits: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.port = 0
        self._address = ""
        self._handlers: dict[str, Handler] = {}
        self._runner: web.AppRunner | None = None
        self._good()
        self._statuses()
        self._redirects()
        self._bodies()
        self._broken_off()
        self._not_pictures()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._dispatch)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._address = host

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def host(self) -> str:
        """host:port, for the list of hosts that may be private."""
        return f"{self._address}:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        self.hits[path] += 1
        self.headers[path] = dict(request.headers)
        if path.startswith("/photo/"):  # as many different photos as one likes: /photo/<n>.jpg
            number = int(path.removeprefix("/photo/").removesuffix(".jpg"))
            return misbehave.picture(pictures.photo(1000 + number), "image/jpeg")
        if path.startswith("/chain/"):
            number = int(path.removeprefix("/chain/"))
            return await misbehave.redirect(f"/chain/{number + 1}")(request)
        handler = self._handlers.get(path, misbehave.status(404))
        try:
            return await handler(request)
        except ConnectionError:  # the client had enough
            return web.Response()

    def _serve(self, path: str, handler: Handler, expect: str | Picture) -> None:
        self._handlers[path] = handler
        if isinstance(expect, str):
            self.rejected[path] = expect
        else:
            self.accepted[path] = expect

    def _send(
        self,
        path: str,
        body: bytes,
        expect: str | Picture,
        mime: str = "image/jpeg",
        encoding: str = "",
    ) -> None:
        async def handler(_: web.Request) -> web.StreamResponse:
            return misbehave.picture(body, mime, encoding)

        self._serve(path, handler, expect)

    def _good(self) -> None:
        upright = (WIDTH, HEIGHT)
        jpeg, png = Picture(*upright, "image/jpeg"), Picture(*upright, "image/png")
        scene, encode = pictures.scene, pictures.encode
        self._send("/photo.jpg", pictures.photo(1), jpeg)
        self._send("/cmyk.jpg", encode(scene(2).convert("CMYK"), "JPEG"), jpeg)
        self._send("/rotated.jpg", pictures.rotated(3), Picture(HEIGHT, WIDTH, "image/jpeg"))
        self._send("/grey.jpg", encode(scene(4).convert("L"), "JPEG"), jpeg)
        self._send("/progressive.jpg", encode(scene(5), "JPEG", progressive=True), jpeg)
        self._send("/rgba.png", pictures.see_through(6), png)
        self._send("/palette.png", encode(scene(8).convert("P"), "PNG"), png)
        self._send("/16-bit.png", pictures.sixteen_bit(9), png)
        self._send("/animated.gif", pictures.animation(10), Picture(*upright, "image/gif"))
        self._send("/photo.webp", encode(scene(13), "WEBP"), Picture(*upright, "image/webp"))
        self._send("/photo.tiff", encode(scene(14), "TIFF"), Picture(*upright, "image/tiff"))
        self._send("/photo.bmp", encode(scene(15), "BMP"), Picture(*upright, "image/bmp"))
        # Headers that lie about good bytes.
        self._send("/called-html.jpg", pictures.photo(16), jpeg, mime="text/html")
        self._send("/png-called.jpg", encode(scene(17), "PNG"), png)
        self._send("/gzipped.jpg", gzip.compress(pictures.photo(18)), jpeg, encoding="gzip")
        self._send("/said-to-be-gzipped.jpg", pictures.photo(19), jpeg, encoding="gzip")
        self._send("/chunked-encoding.jpg", pictures.photo(20), jpeg, encoding="aws-chunked")
        self._send("/with%20space.jpg", pictures.photo(21), jpeg)
        for path, status, seed in (("/500-once.jpg", 500, 22), ("/503-once.jpg", 503, 23)):
            self._serve(path, self._once(misbehave.status(status), pictures.photo(seed)), jpeg)
        busy = misbehave.status(429, {"Retry-After": "1"})
        self._serve("/429-once.jpg", self._once(busy, pictures.photo(24)), jpeg)
        self._serve("/reset-once.jpg", self._once(misbehave.reset, pictures.photo(25)), jpeg)
        self._serve("/late.jpg", misbehave.late(pictures.photo(26)), jpeg)
        self._serve("/moved.jpg", misbehave.redirect("/photo/1.jpg", 301), jpeg)
        self._serve("/moved-relative.jpg", misbehave.redirect("photo/2.jpg?x=%2F", 308), jpeg)

    def _once(self, failure: Handler, body: bytes) -> Handler:
        """Fails for the first request, and answers the others."""

        async def handler(request: web.Request) -> web.StreamResponse:
            if self.hits[request.rel_url.raw_path] == 1:
                return await failure(request)
            return misbehave.picture(body, "image/jpeg")

        return handler

    def _statuses(self) -> None:
        for status in (400, 401, 403, 404, 410, 451, 500, 501, 503):
            self._serve(f"/{status}.jpg", misbehave.status(status), f"http-{status}")
        self._serve("/999.jpg", misbehave.status(999), "http-other")
        self._serve("/204.jpg", misbehave.status(204), "empty")
        self._serve("/304.jpg", misbehave.status(304), "http-304")
        self._serve("/302-to-nowhere.jpg", misbehave.status(302), "http-302")
        self._serve("/always-429.jpg", misbehave.status(429, {"Retry-After": "0"}), "http-429")

    def _redirects(self) -> None:
        self._serve("/loop.jpg", misbehave.redirect("/loop.jpg"), "too-many-redirects")
        self._serve("/chain.jpg", misbehave.redirect("/chain/1"), "too-many-redirects")
        for path, location, reason in (
            ("/to-file.jpg", "file:///etc/passwd", "malformed-url"),
            ("/to-script.jpg", "javascript:alert(1)", "malformed-url"),
            ("/to-bad-port.jpg", "http://127.0.0.1:99999/", "malformed-url"),
            ("/to-metadata.jpg", "http://169.254.169.254/latest/", "private-address"),
            ("/to-other-port.jpg", "http://127.0.0.1:9/", "private-address"),
            ("/to-decimal.jpg", "http://2130706433:{port}/photo.jpg", "private-address"),
            ("/to-other-name.jpg", "http://localhost:{port}/photo.jpg", "private-address"),
            ("/to-mapped.jpg", "http://[::ffff:127.0.0.1]:{port}/photo.jpg", "private-address"),
        ):
            self._serve(path, self._redirect_here(location), reason)

    def _redirect_here(self, location: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await misbehave.redirect(location.replace("{port}", str(self.port)))(request)

        return handler

    def _bodies(self) -> None:
        self._send("/empty.jpg", b"", "empty")
        self._serve("/endless.jpg", misbehave.endless, "too-large")
        self._serve("/huge-length.jpg", misbehave.huge_length, "too-large")
        self._send("/gzip-bomb.jpg", pictures.gzip_bomb(), "too-large", encoding="gzip")
        cut = gzip.compress(pictures.photo(1))[:-4000]
        self._send("/cut-gzip.jpg", cut, "content-encoding", encoding="gzip")
        self._send("/brotli.jpg", b"\x8b\x0b", "content-encoding", encoding="br")
        self._serve("/slow-header.jpg", misbehave.silent, "timeout")
        self._serve("/stalled.jpg", misbehave.stalled, "timeout")
        self._serve("/drip.jpg", misbehave.drip, "timeout")

    def _broken_off(self) -> None:
        self._serve("/reset.jpg", misbehave.reset, "incomplete")
        self._serve("/hang-up.jpg", misbehave.hang_up, "incomplete")
        self._serve("/short.jpg", misbehave.short, "incomplete")
        self._serve("/garbage.jpg", misbehave.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol")
        self._serve(
            "/huge-header.jpg", misbehave.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999), "protocol"
        )

    def _not_pictures(self) -> None:
        self._send("/html.jpg", pictures.HTML, "not-an-image")
        self._send("/text.jpg", b"GIF, not really", "not-an-image")
        self._send("/vector.svg", pictures.SVG, "unsupported-format", "image/svg+xml")
        self._send("/phone.heic", pictures.HEIC, "unsupported-format", "image/heic")
        self._send("/small.jpg", pictures.photo(30, (640, 200)), "too-small")
        self._send("/bomb.png", pictures.png_bomb(), "decompression-bomb", "image/png")
        self._send("/scans.jpg", pictures.jpeg_scan_bomb(), "decompression-bomb")
        half = pictures.photo(31)
        self._send("/half.jpg", half[: len(half) // 2], "truncated")
        for kind in ("png", "gif", "webp"):
            whole = pictures.encode(pictures.scene(32), kind.upper())
            self._send(f"/half.{kind}", whole[: len(whole) // 2], "truncated", f"image/{kind}")
        self._send("/wrong-crc.png", pictures.wrong_crc(33), "corrupt-image", "image/png")
        self._send("/header-only.jpg", half[:3] + bytes(500), "corrupt-image")
