from __future__ import annotations

from io import BytesIO

import hostile_pictures as pictures
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from consumers.fetch.inspect import Inspected, inspect
from consumers.fetch.phash import phash
from consumers.stage import Rejected

WHOLE = {
    "baseline": pictures.photo(50),
    "progressive": pictures.encode(pictures.scene(50), "JPEG", progressive=True),
    "png": pictures.encode(pictures.scene(50), "PNG"),
    "gif": pictures.encode(pictures.scene(50).convert("P"), "GIF"),
    "animation": pictures.animation(50),
    "webp": pictures.encode(pictures.scene(50), "WEBP"),
    "avif": pictures.encode(pictures.scene(50), "AVIF"),
    "tiff": pictures.encode(pictures.scene(50), "TIFF"),
    "tiff-lzw": pictures.encode(pictures.scene(50), "TIFF", compression="tiff_lzw"),
    "bmp": pictures.encode(pictures.scene(50), "BMP"),
}


def look(data: bytes, max_pixels: int = 10**7, min_short_edge: int = 400) -> Inspected:
    return inspect(data, max_pixels=max_pixels, min_short_edge=min_short_edge)


def why(data: bytes, **bounds: int) -> str:
    with pytest.raises(Rejected) as caught:
        look(data, **bounds)
    return caught.value.reason


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


@pytest.mark.parametrize("name", WHOLE)
def test_whole(name: str) -> None:
    found = look(WHOLE[name])
    assert (found.width, found.height) == (640, 480)
    assert distance(found.phash, look(WHOLE["baseline"]).phash) <= 10


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", sorted(set(WHOLE) - {"animation"}))
def test_cut(name: str, share: float) -> None:
    data = WHOLE[name]
    assert why(data[: int(len(data) * share)]) in {"truncated", "corrupt-image"}


def test_an_animation_is_proved_by_its_first_frame() -> None:
    data = WHOLE["animation"]
    assert why(data[: len(data) // 6]) == "truncated"
    assert look(data[: int(len(data) * 0.9)]).mime == "image/gif"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_upright_whatever_the_orientation(kind: str, orientation: int) -> None:
    upright = pictures.scene(60)
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    lying = upright if undo is None else upright.transpose(undo)
    found = look(pictures.encode(lying, kind, exif=exif))
    assert (found.width, found.height) == (640, 480)
    assert distance(found.phash, look(pictures.encode(upright, kind)).phash) <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_modes(mode: str) -> None:
    if mode == "I;16":
        data = pictures.sixteen_bit(70)
    else:
        data = pictures.encode(pictures.scene(70).convert(mode), "TIFF")
    assert distance(look(data).phash, look(pictures.photo(70)).phash) <= 12


def test_transparent_pictures_differ_by_their_shape() -> None:
    shapes = []
    for x in (0, 320):
        picture = Image.new("RGBA", (640, 480), (0, 0, 0, 0))
        picture.paste((0, 0, 0, 255), (x, 100, x + 250, 400))
        shapes.append(look(pictures.encode(picture, "PNG")).phash)
    assert distance(*shapes) > 10


def test_bounds_come_from_the_header() -> None:
    assert why(WHOLE["png"], max_pixels=640 * 480 - 1) == "decompression-bomb"
    assert look(WHOLE["png"], max_pixels=640 * 480).width == 640
    assert why(WHOLE["png"], min_short_edge=481) == "too-small"
    assert look(WHOLE["png"], min_short_edge=480).width == 640
    assert why(pictures.png_bomb()) == "decompression-bomb"
    assert why(pictures.jpeg_scan_bomb()) == "decompression-bomb"


def test_several_pictures_in_one_jpeg() -> None:
    out = BytesIO()
    extra = [pictures.scene(81)]
    pictures.scene(80).save(out, "MPO", save_all=True, append_images=extra)
    assert look(out.getvalue()).mime == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-an-image"),
        (b"\x00", "not-an-image"),
        (pictures.HTML, "not-an-image"),
        (b"<?xml version='1.0'?><html><svg></svg></html>", "not-an-image"),
        (b"%PDF-1.7\n", "not-an-image"),
        (b'{"error": "gone"}', "not-an-image"),
        (pictures.SVG, "unsupported-format"),
        (b"\xef\xbb\xbf \n<!-- x --><SVG width='9'>", "unsupported-format"),
        (pictures.HEIC, "unsupported-format"),
        (b"\xff\x0a" + bytes(50), "unsupported-format"),
        (b"8BPS\x00\x01" + bytes(50), "unsupported-format"),
        (b"\x89PNG\r\n\x1a\n", "corrupt-image"),
        (b"\xff\xd8\xff\xe0", "corrupt-image"),
        (pictures.wrong_crc(90), "corrupt-image"),
    ],
)
def test_other_bytes(data: bytes, reason: str) -> None:
    assert why(data) == reason


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
)
def test_damaged_bytes_are_an_image_or_a_reject(
    name: str, damage: list[tuple[float, bytes]]
) -> None:
    data = bytearray(WHOLE[name])
    for share, junk in damage:
        at = int(share**4 * len(data))  # headers are the interesting part
        data[at : at + len(junk)] = junk
    try:
        found = look(bytes(data))
    except Rejected:
        return
    assert found.width > 0 and len(found.phash) == 16


def test_phash_is_the_published_one() -> None:
    pixels = np.asarray(pictures.scene(3).convert("L").resize((32, 32)), dtype=float)
    sums = [
        sum(
            pixels[y, x]
            * np.cos(np.pi * v * (2 * y + 1) / 64)
            * np.cos(np.pi * u * (2 * x + 1) / 64)
            for y in range(32)
            for x in range(32)
        )
        for v in range(8)
        for u in range(8)
    ]
    bits = "".join("1" if s > np.median(sums) else "0" for s in sums)
    assert phash(pixels) == f"{int(bits, 2):016x}"


def test_phash_of_a_flat_picture_is_not_made_of_noise() -> None:
    assert phash(np.full((32, 32), 77)) == "8000000000000000"


def test_phash_stays_when_a_picture_is_scaled_and_recoded() -> None:
    picture = pictures.scene(95, (1200, 900))
    small = pictures.encode(picture.resize((600, 450)), "JPEG", quality=40)
    large = pictures.encode(picture, "JPEG", quality=95)
    assert distance(look(small).phash, look(large).phash) <= 4
    assert distance(look(large).phash, look(pictures.photo(96)).phash) > 10


@pytest.mark.parametrize(
    "filler",
    [b"\xff\xe9\x00\x02", b"\xff\xfe\x00\x02", b"\xff"],
    ids=["segments", "comments", "padding"],
)
def test_a_header_of_endless_parts_is_a_bomb(filler: bytes) -> None:
    assert why(pictures.jpeg_header_bomb(filler)) == "decompression-bomb"
    assert look(pictures.jpeg_header_bomb(filler, 1 << 10)).width == 640


def test_a_header_of_large_segments_is_none() -> None:
    segment = b"\xff\xe9\xff\xff" + bytes(65_533)
    assert look(pictures.jpeg_header_bomb(segment, 32 << 20)).width == 640
