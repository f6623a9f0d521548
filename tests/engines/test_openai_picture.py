"""The picture that a model is sent."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.captions.picture import for_model
from engines.errors import ImageError


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_small_picture_is_sent_as_it_is(kind: str) -> None:
    data = saved(halves(64, 32), kind)
    assert for_model(data, 64) == (data, f"image/{kind.lower()}")


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (saved(halves(65, 32), "PNG"), (64, 32)),
        (saved(halves(3000, 2000), "JPEG"), (64, 43)),
        (saved(halves(20, 3000), "JPEG"), (1, 64)),
        (saved(halves(40, 30), "JPEG", progressive=True), (40, 30)),
        (saved(halves(40, 30).convert("CMYK"), "JPEG"), (40, 30)),
        (saved(halves(40, 30).convert("P"), "PNG"), (40, 30)),
        (saved(Image.new("RGBA", (40, 30), (0, 0, 255, 99)), "WEBP"), (40, 30)),
        (saved(halves(40, 30), "GIF"), (40, 30)),
        (saved(halves(40, 30), "BMP"), (40, 30)),
        (saved(halves(40, 30), "TIFF"), (40, 30)),
        (saved(halves(40, 30), "PNG", save_all=True, append_images=[halves(40, 30)] * 2), (40, 30)),
        (saved(halves(40, 30), "JPEG") + b"\x00" * (1 << 20), (40, 30)),
    ],
)
def test_any_other_is_sent_as_a_plain_jpeg(data: bytes, size: tuple[int, int]) -> None:
    sent, mime = for_model(data, 64)
    picture = opened(sent)
    assert (mime, picture.format, picture.mode) == ("image/jpeg", "JPEG", "RGB")
    assert not picture.info.get("progressive")
    assert picture.size[1] == pytest.approx(size[1], abs=1)
    assert picture.size[0] == size[0]


def test_a_turned_picture_is_sent_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left ends on top
    sent, _ = for_model(saved(halves(40, 20), "JPEG", exif=exif), 64)
    pixels = np.asarray(opened(sent)).astype(int)
    assert pixels.shape[:2] == (40, 20)
    assert pixels[5, 10, 0] > 200 > pixels[5, 10, 2]
    assert pixels[35, 10, 2] > 200 > pixels[35, 10, 0]
    assert not opened(sent).getexif()


@pytest.mark.parametrize("data", [b"", b"<html>", saved(halves(400, 300), "PNG")[:200]])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(ImageError):
        for_model(data, 64)
