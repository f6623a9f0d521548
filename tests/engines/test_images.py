from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from engines.errors import ImageError
from engines.images import FORMATS, decode

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = (EXAMPLES / "cat.jpg").read_bytes()
PHOTO = Image.open(BytesIO(CAT)).convert("RGB").resize((120, 80))


def encode(picture: Image.Image, format: str, **options: object) -> bytes:
    out = BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.jpg")), ids=lambda path: path.name)
def test_photographs_decode_as_pillow_does(path: Path) -> None:
    pixels = decode(path.read_bytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    assert pixels.shape == expected.shape
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("format", FORMATS)
def test_formats(format: str) -> None:
    pixels = decode(encode(PHOTO, format))
    assert np.abs(pixels.astype(int) - np.asarray(PHOTO)).mean() < 8


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_upright_after_exif_orientation(format: str, turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    data = encode(PHOTO, format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB"))
    pixels = decode(data)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("turned", [0, 9, 65535])
def test_nonsense_orientation_is_upright(turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    assert decode(encode(PHOTO, "JPEG", exif=exif)).shape == (80, 120, 3)


@pytest.mark.parametrize("min_side", [1, 64, 100, 256, 300, 512, 5000])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_scaled_jpeg_keeps_its_shortest_side(mode: str, min_side: int) -> None:
    picture = Image.open(BytesIO(CAT)).resize((1540, 1024)).convert(mode)
    height, width, _ = decode(encode(picture, "JPEG"), min_side=min_side).shape
    assert min(height, width) >= min(min_side, 1024)
    assert abs(width / height - 1540 / 1024) < 0.01
    if min_side <= 256:
        assert height <= 1024 / 4


def test_greyscale_and_cmyk_jpegs() -> None:
    grey = decode(encode(PHOTO.convert("L"), "JPEG"))
    assert (grey[..., 0] == grey[..., 2]).all()
    cmyk = decode(encode(PHOTO.convert("CMYK"), "JPEG"))
    assert np.abs(cmyk.astype(int) - np.asarray(PHOTO)).mean() < 8


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(4, 0)
    for format in ("PNG", "TIFF"):
        pixels = decode(encode(Image.fromarray(ramp), format))
        assert np.abs(pixels[0, :, 1].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("scale", [1.0, 1e6, -4.0])
def test_floats_fill_eight_bits(scale: float) -> None:
    ramp = np.linspace(0, scale, 64, dtype=np.float32)[None].repeat(4, 0)
    row = decode(encode(Image.fromarray(ramp), "TIFF"))[0, :, 0]
    assert {int(row.min()), int(row.max())} == {0, 255}


def test_transparency_lies_on_white() -> None:
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 128))
    pixels = decode(encode(picture, "PNG"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert abs(int(pixels[0, 1, 0]) - 127) <= 1
    assert pixels[1, 1].tolist() == [255, 0, 0]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([9, 9, 9, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):
        row = decode(encode(palette, format, transparency=0))[0]
        assert row.tolist() == [[255, 255, 255], [0, 0, 255]]


def test_one_bit() -> None:
    pixels = decode(encode(PHOTO.convert("1"), "PNG"))
    assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(format: str) -> None:
    red, blue = (Image.new("RGB", (8, 8), name) for name in ("red", "blue"))
    pixels = decode(encode(red, format, save_all=True, append_images=[blue]))
    assert pixels[..., 0].min() > 240
    assert pixels[..., 2].max() < 15


def test_a_lost_end_marker_is_borne_and_a_lost_half_is_not() -> None:
    np.testing.assert_array_equal(decode(CAT[:-2]), decode(CAT))
    np.testing.assert_array_equal(decode(CAT + b"\0" * 100), decode(CAT))
    with pytest.raises(ImageError) as caught:
        decode(CAT[: len(CAT) // 2])
    assert caught.value.reason == "broken-image"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-an-image"),
        (b"<html><body>404</body></html>", "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not-an-image"),
        (b"%PDF-1.7\n", "not-an-image"),
        (CAT[:300], "broken-image"),
        (encode(PHOTO, "PNG")[:500], "broken-image"),
    ],
)
def test_what_is_no_picture_is_an_image_error(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert caught.value.reason == reason


def test_size_is_judged_by_the_header() -> None:
    with pytest.raises(ImageError) as caught:
        decode(CAT, max_pixels=1000)
    assert caught.value.reason == "too-many-pixels"
    bomb = bytearray(encode(Image.new("RGB", (8, 8)), "BMP"))
    for side in (10_001, 30_000):  # over our bound, and over Pillow's
        bomb[18:26] = struct.pack("<ii", side, side)
        with pytest.raises(ImageError) as caught:
            decode(bytes(bomb))
        assert caught.value.reason == "too-many-pixels"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encode(PHOTO, "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    assert decode(data).shape == (80, 120, 3)
    with pytest.raises(ImageError, match="scans"):
        decode(data[:start] + scan * 200 + data[-2:])


@pytest.mark.parametrize("filler", [b"\xff\xe9\x00\x02", b"\xff"], ids=["segments", "padding"])
def test_a_header_of_endless_parts_is_refused(filler: bytes) -> None:
    with pytest.raises(ImageError, match="TooManyReads"):
        decode(CAT[:2] + filler * 200_000 + CAT[2:])
    assert decode(CAT[:2] + filler * 1000 + CAT[2:]).shape == decode(CAT).shape


@settings(max_examples=150, deadline=None)
@given(
    format=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    keep=st.floats(0.1, 1),
)
def test_damage_is_a_picture_or_an_image_error(
    format: str, changes: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(encode(PHOTO, format))
    for place, value in changes:
        data[int(place**3 * (len(data) - 1))] = value  # mostly in the header
    try:
        pixels = decode(bytes(data[: int(len(data) * keep)]), min_side=64, max_pixels=10**6)
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
