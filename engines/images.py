"""Bytes from the web into pixels: upright RGB, whatever the format, within bounds."""

from __future__ import annotations

import warnings

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError, features

from engines.errors import ImageError
from engines.header import HeaderReader

# Raster formats of the web and of archives. Never those that run a program (EPS, PDF), nor the
# long tail of decoders that nobody fuzzes.
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]
if features.check("avif"):
    FORMATS.append("AVIF")

# A progressive JPEG makes the decoder pass over the whole picture once a scan, and a scan may be a
# few bytes. Encoders write about ten; https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf
_MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
END_OF_IMAGE = b"\xff\xd9"
_ORIENTATION = 0x0112

# Our bound is `max_pixels`; Pillow's own, which warns before it raises, stays behind it. A file's
# odd metadata is nothing that whoever runs this could mend.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def decode(
    data: bytes, *, min_side: int | None = None, max_pixels: int = 100_000_000
) -> np.ndarray:
    """The picture in `data`: H x W x 3, uint8, RGB, contiguous, upright.

    The first frame of an animation; transparency lies on white; more than 8 bits are scaled to 8.

    Args:
        min_side: pixels that the shortest side needs: a JPEG is decoded at a half, a quarter or
            an eighth of its size where the shortest side stays at least this. None: full size.
        max_pixels: a picture whose header claims more is not decoded. Pillow refuses, whatever
            this says, what is over twice its `Image.MAX_IMAGE_PIXELS` (179 million).

    Raises:
        ImageError: with its reason code.
    """
    picture = open_header(data, max_pixels=max_pixels)
    pixels = None
    if picture.format in ("JPEG", "MPO") and picture.mode in ("RGB", "L"):
        pixels = _decode_jpeg(data, min_side or 0)
    if pixels is None:
        pixels = _load(picture, min_side or 0)
    return np.ascontiguousarray(_upright(pixels, orientation(picture)))


def open_header(data: bytes, *, max_pixels: int = 100_000_000) -> Image.Image:
    """The picture with only its header read: format, size (before orientation), EXIF.

    Raises:
        ImageError: with its reason code.
    """
    reader = HeaderReader(data)
    try:
        picture = Image.open(reader, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError("too-many-pixels", str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError("not-an-image", f"none of {', '.join(FORMATS)}") from error
    except Exception as error:  # hostile headers raise whatever a plugin did not think of
        raise ImageError("broken-image", _said(error)) from error
    reader.opened()
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageError("too-many-pixels", f"{width} x {height} is over {max_pixels}")
    if width < 1 or height < 1:
        raise ImageError("broken-image", f"{width} x {height} pixels")
    if picture.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MAX_SCANS:
        raise ImageError("broken-image", f"over {_MAX_SCANS} scans in a JPEG")
    return picture


def decoded_bytes(
    width: int, height: int, *, min_side: int | None = None, jpeg: bool = True
) -> int:
    """Bytes of the pixels that `decode` gives for a picture of that size.

    Args:
        jpeg: whether it is one, which is decoded at a reduced scale where `min_side` allows it.
    """
    eighths = 8
    if jpeg and min_side:
        # libjpeg-turbo's scales, but for those between a half and all (see `_decode_jpeg`).
        shortest = min(width, height)
        eighths = next((n for n in (1, 2, 3, 4) if -(-shortest * n // 8) >= min_side), 8)
    return -(-width * eighths // 8) * -(-height * eighths // 8) * 3


def working_bytes(width: int, height: int, *, jpeg: bool) -> int:
    """Bytes that decoding a picture of that size takes for a while, besides the pixels it gives.

    Measured: 3 a pixel for a progressive JPEG, whose coefficients are held at full size whatever
    the scale; 7 to 20 with Pillow, which has its own copy of the pixels and of each conversion.
    """
    return width * height * (3 if jpeg else 20)


def orientation(picture: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1, upright, where it says none or nonsense."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
        return int(value) if value in range(1, 9) else 1
    except Exception:  # broken EXIF is no reason to lose the picture
        return 1


def _upright(pixels: np.ndarray, turned: int) -> np.ndarray:
    """Undo an EXIF orientation. Source: EXIF 2.32, tag 0x0112."""
    if turned in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if turned in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return pixels.swapaxes(0, 1) if turned >= 5 else pixels


def _decode_jpeg(data: bytes, min_side: int) -> np.ndarray | None:
    """None where the file has a fault; Pillow then says whether it can be borne."""
    if END_OF_IMAGE not in data[-64:]:
        data += END_OF_IMAGE  # often lost in transfer, and all that is; a fault if more is
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            data,
            "RGB",
            min_height=min_side,
            min_width=min_side,
            # The scales in between (7/8, 3/4, ...) cost more than full size does.
            min_factor=2 if min_side else 1,
        )
    except ValueError:
        return None
    return pixels


def _load(picture: Image.Image, min_side: int) -> np.ndarray:
    """Decode with Pillow."""
    try:
        if min_side and picture.format in ("JPEG", "MPO"):
            picture.draft(picture.mode, (min_side, min_side))
        picture.load()
        return np.array(_to_rgb(picture))
    except MemoryError:
        raise
    except Exception as error:  # a decoder's errors have no common root
        raise ImageError("broken-image", _said(error)) from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        return white
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_8_bits(grey: np.ndarray) -> np.ndarray:
    """Deep grey to uint8: 16 bits by their full range, 32 bits and floats by the values' own."""
    if grey.dtype.itemsize == 2:
        return (grey >> 8).astype(np.uint8)
    values = np.nan_to_num(grey.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    if grey.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (values - low) * (255 / max(high - low, 1e-12))
    return np.asarray(np.rint(scaled).clip(0, 255), np.uint8)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
