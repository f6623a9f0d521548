"""What bytes are, by their content. Headers and file names are not believed."""

from __future__ import annotations

import re
import struct
import zlib

from consumers.stage import Rejected

MIME = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with more pictures behind it, as phones write
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}
"""Pillow's names of the formats that are decoded, with their media types."""

_DECODED = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II[*+]\x00|MM\x00[*+]|BM....\x00\x00"
    rb"|....ftypavi[fs]",
    re.DOTALL,
)
_OTHER_IMAGES = (
    ("HEIF", re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)),
    ("JPEG XL", re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n")),
    ("JPEG 2000", re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("Photoshop", re.compile(rb"8BPS")),
    ("ICO", re.compile(rb"\x00\x00[\x01\x02]\x00[^\x00]\x00")),
)
_HEAD = 2048
_MAX_PNG_CHUNKS = 100_000


def why_unreadable(data: bytes) -> Rejected:
    """The reject for bytes that no decoder accepted."""
    head = data[:_HEAD]
    if _is_cut_webp(data):
        return Rejected("truncated", "WebP ends before its declared size")
    if _DECODED.match(head):
        return Rejected("corrupt-image", f"header unreadable: {head[:16]!r}")
    for name, magic in _OTHER_IMAGES:
        if magic.match(head):
            return Rejected("unsupported-format", name)
    if _is_svg(head):
        return Rejected("unsupported-format", "SVG")
    return Rejected("not-an-image", f"starts with {head[:40]!r}")


def _is_cut_webp(data: bytes) -> bool:
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return False
    (declared,) = struct.unpack_from("<I", data, 4)
    return bool(declared + 8 > len(data))


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return (
        text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg"))
        and b"<svg" in text
        and b"<html" not in text
    )


def check_jpeg_scans(data: bytes, pixels: int, max_pixels: int) -> None:
    """Refuse a JPEG with so many scans that decoding it is an attack.

    Each scan of a progressive JPEG walks over the whole picture, and an empty one costs a hundred
    bytes: see "Two Issues with the JPEG Standard" of libjpeg-turbo, and its `-maxscans`.

    Raises:
        Rejected: ``decompression-bomb``.
    """
    scans = data.count(b"\xff\xda")  # within entropy-coded data FF is always followed by 00
    if scans > 500 or scans * pixels > 20 * max_pixels:
        raise Rejected("decompression-bomb", f"{scans} scans of {pixels} pixels")


def check_png(data: bytes) -> None:
    """Verify that a PNG is whole: critical chunks' CRCs, up to IEND. Pillow skips those of IDAT.

    Raises:
        Rejected: ``truncated``, ``corrupt-image``.
    """
    at, view = 8, memoryview(data)
    for _ in range(_MAX_PNG_CHUNKS):
        if at + 12 > len(data):
            raise Rejected("truncated", "PNG ends before IEND")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Rejected("truncated", f"PNG ends within {kind!r}")
        critical = not kind[0] & 0x20
        (crc,) = struct.unpack_from(">I", data, end - 4)
        if critical and zlib.crc32(view[at + 4 : end - 4]) != crc:
            raise Rejected("corrupt-image", f"PNG chunk {kind!r} has a wrong CRC")
        if kind == b"IEND":
            return
        at = end
    raise Rejected("corrupt-image", f"PNG of more than {_MAX_PNG_CHUNKS} chunks")
