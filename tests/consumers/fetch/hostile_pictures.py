"""Pictures for `hostile_server`: good ones in every dress, and bad ones. Made, not stored."""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n'
HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>Not found</body></html>"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)


def scene(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A picture of soft colours and fine grain, another one for every seed."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    picture = np.asarray(soft.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
    grain = rng.integers(-6, 7, picture.shape, dtype=np.int16)
    return Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@functools.cache
def photo(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A JPEG, as from a camera."""
    return encode(scene(seed, size), "JPEG", quality=85)


@functools.cache
def rotated(seed: int) -> bytes:
    """A JPEG lying on its side, with the EXIF orientation that puts it upright (6)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(scene(seed), "JPEG", exif=exif)


@functools.cache
def sixteen_bit(seed: int) -> bytes:
    grey = np.asarray(scene(seed).convert("L"), dtype=np.uint16)
    return encode(Image.fromarray(grey * 257), "PNG")


@functools.cache
def see_through(seed: int) -> bytes:
    picture = scene(seed).convert("RGBA")
    picture.putalpha(scene(seed + 1).convert("L"))
    return encode(picture, "PNG")


@functools.cache
def animation(seed: int) -> bytes:
    first, *rest = (scene(seed + i).convert("P") for i in range(3))
    return encode(first, "GIF", save_all=True, append_images=rest, duration=100)


@functools.cache
def wrong_crc(seed: int) -> bytes:
    """A PNG with one wrong bit in the CRC of its first IDAT."""
    data = bytearray(encode(scene(seed), "PNG"))
    at = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    data[at + 4 + length] ^= 1
    return bytes(data)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@functools.cache
def png_bomb(side: int = 30_000) -> bytes:
    """A valid 1-bit PNG of side x side pixels, a hundred kilobytes long."""
    deflater = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    packed = b"".join(deflater.compress(row) for _ in range(side)) + deflater.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


@functools.cache
def jpeg_scan_bomb(scans: int = 2000) -> bytes:
    """A progressive JPEG whose last scan is repeated, for a decoder to walk through each time."""
    data = encode(Image.new("RGB", (WIDTH, HEIGHT), "teal"), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + data[-2:]


@functools.cache
def jpeg_header_bomb(filler: bytes, size: int = 1 << 20) -> bytes:
    """A JPEG with `filler` again and again in front of its picture."""
    data = photo(0)
    return data[:2] + filler * (size // len(filler)) + data[2:]


@functools.cache
def gzip_bomb(size: int = 64 << 20) -> bytes:
    return gzip.compress(bytes(size), 9)
