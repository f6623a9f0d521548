"""From bytes to what an `Image` record says of them; proves that the image is whole.

Blocking and CPU-bound: call it on a thread. Pillow and zlib let go of the GIL while they decode.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

# Imported by name, so that Pillow needn't load all its plugins to find these.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL.Image import Resampling, Transpose

from consumers.fetch.embedded import read_embedded
from consumers.fetch.formats import MIME, check_jpeg_scans, check_png, why_unreadable
from consumers.fetch.phash import SIDE, phash
from consumers.stage import Rejected
from engines.header import HeaderReader, TooManyReads
from engines.images import working_bytes

_OPENED = [name for name in MIME if name in Image.OPEN]  # MPO is opened as JPEG
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
_BOMBS = (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    MemoryError,
    TooManyReads,
)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the bytes are. `width` and `height` in pixels, after EXIF orientation.

    `phash` is 16 hex digits (`consumers.fetch.phash`), of the upright image. `embedded` holds
    EXIF, IPTC and XMP texts by name.
    """

    width: int
    height: int
    mime: str
    phash: str
    embedded: dict[str, str]


def inspect(
    data: bytes,
    *,
    max_pixels: int,
    min_short_edge: int,
    room: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> Inspected:
    """Decode an image as far as it takes to know that it is whole, and describe it.

    Of an animation the first frame is decoded. The bounds are checked from the header, before.

    Args:
        room: waits until so many bytes may be used, and says when they are no longer.

    Raises:
        Rejected: ``not-an-image``, ``unsupported-format``, ``decompression-bomb``, ``too-small``,
            ``truncated``, ``corrupt-image``.
    """
    try:
        with _open(data) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise Rejected("decompression-bomb", f"{width}x{height}, limit {max_pixels} pixels")
            if min(width, height) < min_short_edge:
                raise Rejected("too-small", f"{width}x{height}, short edge under {min_short_edge}")
            with room(working_bytes(width, height, jpeg=image.format in ("JPEG", "MPO"))):
                found = _inspected(image, data, max_pixels)
                image.close()  # its pixels
            return found
    except _BOMBS as exc:
        raise Rejected("decompression-bomb", str(exc) or "out of memory") from exc


def _inspected(image: Image.Image, data: bytes, max_pixels: int) -> Inspected:
    width, height = image.size
    mime = MIME[image.format or ""]
    _decode(image, data, max_pixels)
    # After decoding: PNG may hold EXIF behind the pixels, and TIFF turns itself upright.
    orientation = _orientation(image)
    if image.format == "TIFF":
        width, height = image.size
    if orientation in _SIDEWAYS:
        width, height = height, width
    small = _luminance(image)
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    return Inspected(width, height, mime, phash(np.asarray(small)), read_embedded(image))


def _open(data: bytes) -> Image.Image:
    reader = HeaderReader(data)
    try:
        image = Image.open(reader, formats=_OPENED)
    except _BOMBS:
        raise
    except Exception as exc:
        raise why_unreadable(data) from exc
    reader.opened()
    return image


def _decode(image: Image.Image, data: bytes, max_pixels: int) -> None:
    if image.format in ("JPEG", "MPO"):
        check_jpeg_scans(data, image.width * image.height, max_pixels)
        # Luminance at an eighth: still reads every coded byte, at 60 % of the time.
        image.draft("L", (2 * SIDE, 2 * SIDE))
    elif image.format == "PNG":
        check_png(data)
    try:
        image.load()
    except _BOMBS:
        raise
    except Exception as exc:  # hostile bytes make Pillow raise nearly everything there is
        cut = isinstance(exc, EOFError) or "truncated" in str(exc)
        reason = "truncated" if cut else "corrupt-image"
        raise Rejected(reason, f"{image.format}: {exc}"[:200]) from exc


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF does not make a broken image
        return 1
    return value if isinstance(value, int) else 1


def _luminance(image: Image.Image) -> Image.Image:
    """The decoded image at 32x32, one channel; transparency over white."""
    size = (SIDE, SIDE)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        rgba = rgba.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        page = Image.new("RGBA", size, "white")
        return Image.alpha_composite(page, rgba).convert("L")
    if image.mode.startswith(("I", "F")):  # more than 8 bits: the hash is free of scale
        return image.convert("F").resize(size, Resampling.LANCZOS, reducing_gap=3.0)
    if image.mode not in ("L", "RGB", "CMYK", "YCbCr"):
        image = image.convert("L")
    return image.resize(size, Resampling.LANCZOS, reducing_gap=3.0).convert("L")
