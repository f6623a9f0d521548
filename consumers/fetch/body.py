"""Response bodies, bounded: never more than the limit is read or inflated."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

from aiohttp import ClientResponse

from consumers.stage import Rejected

# Others are ignored: hosts send names that are none (``utf-8``, ``aws-chunked``) with plain bytes.
_INFLATABLE = {"gzip", "x-gzip", "deflate"}
_REFUSED = {"br", "zstd", "compress", "x-compress", "dcb", "dcz"}
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_RAW_DEFLATE = -zlib.MAX_WBITS
_SMALL = 1 << 20  # bytes; most pictures of the web are smaller, and need not wait for room


async def read_body(
    response: ClientResponse, limit: int, room: Callable[[int], Awaitable[None]]
) -> bytes:
    """Read the body as sent, at the most `limit` bytes.

    Args:
        room: waits until there is room for so many bytes; asked once, before a body that is not
            small is held, and for all that it may be inflated to.

    Raises:
        Rejected: ``too-large`` (as declared, or as it comes), ``empty``.
        aiohttp.ClientError: the connection broke.
    """
    declared = response.content_length
    if declared is not None and declared > limit:
        raise Rejected("too-large", f"Content-Length {declared}, limit {limit} bytes")
    inflatable = bool(_encodings(response.headers.get("Content-Encoding", "")) & _INFLATABLE)
    size = limit if declared is None or inflatable else declared
    has_room = declared is not None and size <= _SMALL
    if declared is not None and not has_room:
        await room(size)
        has_room = True
    body = bytearray()
    async for chunk in response.content.iter_any():
        if len(body) + len(chunk) > limit:
            raise Rejected("too-large", f"more than {limit} bytes")
        if not has_room and (inflatable or len(body) + len(chunk) > _SMALL):
            await room(size)
            has_room = True
        body += chunk
    if not body:
        raise Rejected("empty", f"status {response.status}, no body")
    return bytes(body)


def decode_body(data: bytes, content_encoding: str, limit: int) -> bytes:
    """Undo a content encoding that was sent though none was asked for.

    Bytes that are not what the header says are given back as they are: content is believed.

    Args:
        content_encoding: the header's value, possibly empty.
        limit: of the inflated body, in bytes.

    Raises:
        Rejected: ``content-encoding`` for one that is not read here, or a broken one;
            ``too-large`` for a compression bomb.
    """
    names = [name.strip() for name in content_encoding.lower().split(",")]
    if any(name in _REFUSED for name in names):
        raise Rejected("content-encoding", content_encoding[:80])
    applied = [name for name in names if name in _INFLATABLE]
    if len(applied) > 1:
        raise Rejected("content-encoding", f"several: {content_encoding[:80]}")
    return _inflate(data, limit) if applied else data


def _encodings(header: str) -> set[str]:
    return {name.strip() for name in header.lower().split(",")}


def _inflate(data: bytes, limit: int) -> bytes:
    for window in (_ZLIB_OR_GZIP, _RAW_DEFLATE):
        inflater = zlib.decompressobj(window)
        try:
            plain = inflater.decompress(data, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise Rejected("too-large", f"inflates to more than {limit} bytes")
        if not inflater.eof:
            raise Rejected("content-encoding", "compressed body is cut off")
        return plain
    return data
