"""Embedded texts, read from real files that Pillow wrote and from broken ones."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import io
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from consumers.fetch.embedded import MAX_CHARS, MAX_ENTRIES, read_embedded


def saved(kind: str = "JPEG", **options: object) -> Image.Image:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 30, 40)).save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def exif_block() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "A cat on a roof"
    exif[ExifTags.Base.Artist] = "Ann Example"
    exif[ExifTags.Base.Make] = "Canon\0\0"
    exif[ExifTags.Base.XPTitle] = "Chat perché\0".encode("utf-16-le")
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2019:05:14 10:11:12"
    details[ExifTags.Base.UserComment] = b"UNICODE\0" + "Straße".encode("utf-16-le")
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (48.0, 51.0, 30.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "W", (2.0, 17.0, 40.2)
    return exif


def iptc_segment(*records: tuple[int, int, bytes]) -> bytes:
    """A JPEG APP13 segment with Photoshop's resource 0x0404."""
    data = b"".join(struct.pack(">BBBH", 0x1C, a, b, len(v)) + v for a, b, v in records)
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def with_segment(segment: bytes) -> Image.Image:
    file = io.BytesIO()
    Image.new("RGB", (16, 12)).save(file, "JPEG")
    raw = file.getvalue()
    return Image.open(io.BytesIO(raw[:2] + segment + raw[2:]))


XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">
 <rdf:Description rdf:about="" photoshop:City="Paris" Iptc4xmpCore:Location="Montmartre">
  <photoshop:Country>France</photoshop:Country>
  <dc:description><rdf:Alt><rdf:li xml:lang="fr">Un chat</rdf:li>
   <rdf:li xml:lang="x-default">A cat &amp; a dog</rdf:li></rdf:Alt></dc:description>
  <dc:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>roof</rdf:li></rdf:Bag></dc:subject>
  <dc:creator><rdf:Seq><rdf:li>Ann Example</rdf:li></rdf:Seq></dc:creator>
 </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif(kind: str) -> None:
    found = read_embedded(saved(kind, exif=exif_block().tobytes()))
    assert found["exif:ImageDescription"] == "A cat on a roof"
    assert found["exif:Artist"] == "Ann Example"
    assert found["exif:Make"] == "Canon"
    assert found["exif:XPTitle"] == "Chat perché"
    assert found["exif:DateTimeOriginal"] == "2019:05:14 10:11:12"
    assert found["exif:UserComment"] == "Straße"
    assert float(found["exif:GPSLatitude"]) == pytest.approx(48.858333)
    assert float(found["exif:GPSLongitude"]) == pytest.approx(-2.2945)


def test_exif_text_in_utf8_is_read_as_such() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Café de Flore".encode()
    assert read_embedded(saved(exif=exif))["exif:ImageDescription"] == "Café de Flore"


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (b"ASCII\0\0\0holiday in Rome\0\0", "holiday in Rome"),
        (b"\0" * 8 + b"plain", "plain"),
        (b"UNICODE\0" + "Hello".encode("utf-16-be"), "Hello"),
        (b"UNICODE\0" + "\ufeffHello".encode("utf-16-le"), "Hello"),
        (b"JIS\0\0\0\0\0" + "日本".encode("iso2022_jp"), "日本"),
    ],
)
def test_user_comment_charsets(comment: bytes, expected: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    assert read_embedded(saved(exif=exif))["exif:UserComment"] == expected


@pytest.mark.parametrize("position", [(0.0, 0.0, 0.0), (95.0, 0.0, 0.0)])
def test_no_position_is_made_up(position: tuple[float, float, float]) -> None:
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", position
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (0.0, 0.0, 0.0)
    assert "exif:GPSLatitude" not in read_embedded(saved(exif=exif))


def test_iptc() -> None:
    found = read_embedded(
        with_segment(
            iptc_segment(
                (1, 90, b"\x1b%G"),
                (2, 120, "Ein Café am Fluß".encode()),
                (2, 25, b"river"),
                (2, 25, b"coffee"),
                (2, 90, "Zürich".encode()),
                (2, 101, b"Switzerland"),
                (2, 55, b"20190514"),
            )
        )
    )
    assert found == {
        "iptc:caption": "Ein Café am Fluß",
        "iptc:keywords": "river, coffee",
        "iptc:city": "Zürich",
        "iptc:country": "Switzerland",
        "iptc:date-created": "20190514",
    }


def test_iptc_without_a_charset_is_utf8_or_windows() -> None:
    for text in ("Zürich".encode(), "Zürich".encode("latin-1")):
        assert read_embedded(with_segment(iptc_segment((2, 90, text)))) == {"iptc:city": "Zürich"}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_xmp(kind: str) -> None:
    options: dict[str, object] = {"xmp": XMP.encode()}
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        options = {"pnginfo": info}
    assert read_embedded(saved(kind, **options)) == {
        "xmp:City": "Paris",
        "xmp:Location": "Montmartre",
        "xmp:Country": "France",
        "xmp:description": "A cat & a dog",
        "xmp:subject": "cat, roof",
        "xmp:creator": "Ann Example",
    }


def test_xmp_with_entities_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + XMP.split("?>", 1)[1].replace(
        "Paris", "&b;"
    )
    assert read_embedded(saved(xmp=bomb.encode())) == {}


def test_png_text_and_jpeg_comment() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Two dogs")
    info.add_itxt("Description", "Zwei Hunde am Fenster – schön")
    info.add_text("Software", "whatever")
    found = read_embedded(saved("PNG", pnginfo=info))
    assert found == {"png:Title": "Two dogs", "png:Description": "Zwei Hunde am Fenster – schön"}
    assert read_embedded(saved(comment=b"a comment\0")) == {"jpeg:comment": "a comment"}


def test_no_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise AssertionError("decoded")

    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Two dogs")
    images = [saved("PNG", pnginfo=info), saved(exif=exif_block()), saved("WEBP", xmp=XMP.encode())]
    for image in images:
        monkeypatch.setattr(type(image), "load", load)
    assert all(read_embedded(image) for image in images)


def test_values_are_bounded_and_visible() -> None:
    exif = exif_block()
    exif[ExifTags.Base.ImageDescription] = "a\u0000b\r\n\x1b[31m" + "word " * 2000
    found = read_embedded(saved(exif=exif, xmp=XMP.encode(), comment=b"c" * 60_000))
    assert len(found) <= MAX_ENTRIES
    assert all(v.isprintable() and 0 < len(v) <= MAX_CHARS for v in found.values())


def test_an_image_of_no_file() -> None:
    assert read_embedded(Image.new("RGB", (2, 2))) == {}


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]))
def test_broken_blocks_never_raise(seed: int, kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 12)).save(file, kind, exif=exif_block(), xmp=XMP.encode())
    raw = bytearray(file.getvalue())
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 30)):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    try:
        image = Image.open(io.BytesIO(bytes(raw)))
    except Exception:
        return  # not an image any more
    for name, value in read_embedded(image).items():
        assert name and value.isprintable() and len(value) <= MAX_CHARS
        value.encode()
