"""Pictures that say which one they are: a number in light and dark tiles, and a size.

A number alone decides everything about a URL: what its server answers, the picture's bytes, and
what each expert should find in it. So what comes out of the stream needs no other record.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import simplejpeg
from PIL import Image

Kind = Literal["good", "flaky", "duplicate", "missing", "small", "text", "cut"]

TILE = 8  # pixels; a JPEG's block, so that tiles do not bleed into each other
MIN_SHORT_EDGE = 8 * TILE
EXPERTS = ("number", "size", "digits")
# Of a hundred URLs; the rest is good.
_SHARES: tuple[tuple[Kind, int], ...] = (
    ("missing", 2), ("small", 2), ("text", 2), ("cut", 1), ("duplicate", 3), ("flaky", 3),
)  # fmt: skip
REASONS = {
    "missing": "http-404", "small": "too-small", "text": "not-an-image", "cut": "truncated",
}  # fmt: skip
_LIGHT, _DARK, _BETWEEN = 230, 40, 135
_BITS = 48  # of a number: 32, and 16 of its checksum


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of a URL.

    Attributes:
        number: of the picture that its server sends; a duplicate's is the original's.
        reason: None for a caption. URLs that share an `image_id` share one caption: whichever comes
            first has it, the others are rejects of the reason ``duplicate``.
    """

    url: str
    kind: Kind
    number: int
    reason: str | None = None
    image_id: str | None = None


def kind(number: int, seed: int) -> Kind:
    """What the URL of a number leads to."""
    place = zlib.crc32(f"{seed}/{number}".encode()) % 100
    for name, share in _SHARES:
        if place < share:
            return name if name != "duplicate" or number > 0 else "good"
        place -= share
    return "good"


def original(number: int, seed: int) -> int:
    """The number whose picture a duplicate repeats: an earlier one that is good; else its own."""
    found = zlib.crc32(f"{number}/{seed}".encode()) % number
    while found > 0 and kind(found, seed) != "good":
        found -= 1
    return found if kind(found, seed) == "good" else number


def expected(url: str, number: int, seed: int) -> Expected:
    """What must become of the URL of a number."""
    what = kind(number, seed)
    if what in REASONS:
        return Expected(url, what, number, REASONS[what])
    shown = original(number, seed) if what == "duplicate" else number
    return Expected(url, what, shown, None, hashlib.sha256(picture(shown)).hexdigest())


def body(number: int, seed: int) -> bytes:
    """What the server sends for a number (but for those that are missing)."""
    what = kind(number, seed)
    if what == "text":
        return f"<!doctype html><title>{number}</title><p>No picture here.".encode()
    if what == "small":
        return _encode(np.full((32, 32, 3), number % 251, np.uint8), jpeg=False)
    if what == "cut":
        return _encode(draw(number), jpeg=True)[:-60]
    return picture(original(number, seed) if what == "duplicate" else number)


@lru_cache(4096)
def picture(number: int) -> bytes:
    """A whole file: three in four are JPEGs, the others PNGs. The bytes are always the same."""
    return _encode(draw(number), jpeg=number % 4 != 0)


def draw(number: int) -> np.ndarray:
    """H x W x 3, uint8, RGB: the number's bits and its checksum's, row by row, then grey tiles."""
    wide, high = tiles(number)
    word = number << 16 | zlib.crc32(number.to_bytes(4, "big")) & 0xFFFF
    light = np.full(wide * high, _BETWEEN, np.float32)
    for bit in range(_BITS):
        light[bit] = _LIGHT if word >> bit & 1 else _DARK
    grid = light.reshape(high, wide).repeat(TILE, 0).repeat(TILE, 1)
    return grid.astype(np.uint8)[:, :, None].repeat(3, 2)


def read(pixels: np.ndarray) -> int:
    """The number in a picture (H x W x 3, RGB). Raises ValueError where the checksum is wrong."""
    middles = pixels[TILE // 2 :: TILE, TILE // 2 :: TILE, 0].reshape(-1)
    word = sum(1 << bit for bit in range(_BITS) if middles[bit] > _BETWEEN)
    number = word >> 16
    if word & 0xFFFF != zlib.crc32(number.to_bytes(4, "big")) & 0xFFFF:
        raise ValueError(f"no number in this picture: {word:012x}")
    return number


def findings(number: int) -> dict[str, dict[str, Any]]:
    """What each expert must find in a picture."""
    wide, high = tiles(number)
    return {
        "number": {"number": number},
        "size": {"width": wide * TILE, "height": high * TILE},
        "digits": {"digits": [int(digit) for digit in str(number)]},
    }


def tiles(number: int) -> tuple[int, int]:
    """Width and height in tiles."""
    return 8 + number % 5, 8 + number % 3


def _encode(pixels: np.ndarray, *, jpeg: bool) -> bytes:
    if jpeg:
        return bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorsubsampling="444"))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
