"""Request handlers for `hostile_server`: each does one wrong thing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

import hostile_pictures as pictures
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def picture(body: bytes, mime: str, encoding: str = "") -> web.Response:
    headers = {"Content-Type": mime}
    if encoding:
        headers["Content-Encoding"] = encoding
    return web.Response(body=body, headers=headers)


def status(code: int, headers: Mapping[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return handler


def redirect(location: str, code: int = 302) -> Handler:
    return status(code, {"Location": location})


async def begin(request: web.Request, length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    if length is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = length
    await response.prepare(request)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = await begin(request, None)
    while True:
        await response.write(pictures.photo(1))


async def huge_length(request: web.Request) -> web.StreamResponse:
    response = await begin(request, 10**12)
    while True:
        await response.write(pictures.photo(1))


def late(body: bytes, seconds: float = 0.3) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return picture(body, "image/jpeg")

    return handler


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def stalled(request: web.Request) -> web.StreamResponse:
    response = await begin(request, 100_000)
    await response.write(pictures.photo(1)[:1000])
    return await silent(request)


async def drip(request: web.Request) -> web.StreamResponse:
    response = await begin(request, 100_000)
    for byte in pictures.photo(1):
        await response.write(bytes([byte]))
        await asyncio.sleep(0.1)
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """Half a body, then a TCP reset."""
    response = await begin(request, 100_000)
    await response.write(pictures.photo(1)[:20_000])
    await asyncio.sleep(0.05)
    transport = request.transport
    assert transport is not None
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def short(request: web.Request) -> web.StreamResponse:
    """Fewer bytes than declared, then an orderly close."""
    response = await begin(request, 100_000)
    await response.write(pictures.photo(1)[:20_000])
    assert request.transport is not None
    request.transport.close()
    return response


def raw(data: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(data)
        request.transport.close()
        return web.Response()

    return handler
