"""A picture made ready to be sent to a model: small enough, upright, in a format that all take."""

from __future__ import annotations

import math
from io import BytesIO

from PIL import Image

from engines.images import decode, open_header, orientation

_AS_IT_IS = ("JPEG", "PNG", "WEBP")
_MAX_BYTES_AS_IT_IS = 1 << 20  # above it, mostly metadata: cheaper to encode anew than to send
_QUALITY = 90


def for_model(data: bytes, side: int) -> tuple[bytes, str]:
    """The picture in `data` with its longest side at most `side` pixels, and its MIME type.

    JPEG at quality 90, unless `data` already is a picture that any server takes: it is then sent
    as it is, since encoding a JPEG twice only costs.

    Raises:
        engines.errors.ImageError: no picture that we can decode.
    """
    header = open_header(data)
    if _any_server_takes(header, len(data), side):
        return data, f"image/{header.format}".lower()
    pixels = decode(data, min_side=_shortest_side(header.size, side))
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)  # never enlarges
    out = BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue(), "image/jpeg"


def _any_server_takes(header: Image.Image, size: int, side: int) -> bool:
    return (
        header.format in _AS_IT_IS
        and header.mode in ("RGB", "L")
        and max(header.size) <= side
        and size <= _MAX_BYTES_AS_IT_IS
        and orientation(header) == 1
        and not header.info.get("progressive")
        and not header.info.get("transparency")
        and getattr(header, "n_frames", 1) == 1
    )


def _shortest_side(size: tuple[int, int], side: int) -> int:
    """Of a picture of `size` once its longest side is `side`."""
    return math.ceil(min(size) * min(1, side / max(size)))
