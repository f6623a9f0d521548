"""The texts that an image carries within itself: EXIF, IPTC, XMP, PNG text and JPEG comment.

Specifications: EXIF 2.32 (CIPA DC-008), IPTC IIM 4.2, XMP (ISO 16684-1) with the IPTC Core schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from consumers.knowledge.characters import visible

MAX_CHARS = 2000
MAX_ENTRIES = 40
MAX_XMP = 512 << 10  # bytes; a picture's description fits, an editor's history may not
MAX_LIST = 40

Text = tuple[str, str]


def read_embedded(image: Image.Image) -> dict[str, str]:
    """Texts by name, such as ``exif:ImageDescription``, ``iptc:caption`` or ``xmp:description``.

    `image` is opened, not loaded: no pixel is decoded. Values are one line of visible characters,
    at most `MAX_CHARS`; there are at most `MAX_ENTRIES`, the most telling blocks first. Positions
    are decimal degrees, times stay as they are written. A broken block is left out; nothing is
    raised.
    """
    found: dict[str, str] = {}
    for read in (_iptc, _xmp, _exif, _exif_details, _exif_position, _comments):
        for name, value in _safely(read, image):
            text = visible(value, MAX_CHARS)
            if text and name not in found and len(found) < MAX_ENTRIES:
                found[name] = text
    return found


def _safely(read: Callable[[Image.Image], Iterator[Text]], image: Image.Image) -> Iterator[Text]:
    # Blocks are written by anyone, and Pillow raises whatever its parsers stumble on.
    with suppress(Exception):
        yield from read(image)


# EXIF

_ASCII = {
    "ImageDescription": ExifTags.Base.ImageDescription,
    "Artist": ExifTags.Base.Artist,
    "Copyright": ExifTags.Base.Copyright,
    "Make": ExifTags.Base.Make,
    "Model": ExifTags.Base.Model,
}
_XP = {
    "XPTitle": ExifTags.Base.XPTitle,
    "XPSubject": ExifTags.Base.XPSubject,
    "XPComment": ExifTags.Base.XPComment,
    "XPKeywords": ExifTags.Base.XPKeywords,
}


def _exif_of(image: Image.Image) -> Image.Exif:
    """As `image.getexif()`, which decodes a PNG's pixels where no EXIF comes before them."""
    if hasattr(image, "tag_v2"):
        return image.getexif()
    block = image.info.get("exif")
    if block is None and isinstance(profile := image.info.get("Raw profile type exif"), str):
        block = bytes.fromhex("".join(profile.split("\n")[3:]))  # ImageMagick's way
    exif = Image.Exif()
    if block:
        exif.load(block)
    return exif


def _exif(image: Image.Image) -> Iterator[Text]:
    exif = _exif_of(image)
    for name, tag in _ASCII.items():
        yield f"exif:{name}", _ascii(exif.get(tag))
    for name, tag in _XP.items():
        value = exif.get(tag)
        raw = bytes(value) if isinstance(value, bytes | tuple) else b""
        yield f"exif:{name}", raw.decode("utf-16-le", "ignore")


def _exif_details(image: Image.Image) -> Iterator[Text]:
    details = _exif_of(image).get_ifd(ExifTags.IFD.Exif)
    yield "exif:DateTimeOriginal", _ascii(details.get(ExifTags.Base.DateTimeOriginal))
    yield "exif:UserComment", _user_comment(details.get(ExifTags.Base.UserComment))


def _exif_position(image: Image.Image) -> Iterator[Text]:
    gps = _exif_of(image).get_ifd(ExifTags.IFD.GPSInfo)
    tag = ExifTags.GPS
    latitude = _degrees(gps.get(tag.GPSLatitude), gps.get(tag.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(tag.GPSLongitude), gps.get(tag.GPSLongitudeRef), "EW", 180)
    if latitude is not None and longitude is not None and (latitude or longitude):
        yield "exif:GPSLatitude", f"{latitude:.6f}"
        yield "exif:GPSLongitude", f"{longitude:.6f}"


def _degrees(parts: object, reference: object, signs: str, most: float) -> float | None:
    """Degrees, minutes, seconds as decimal degrees; None where they make no position."""
    if not isinstance(parts, tuple) or not 1 <= len(parts) <= 3:
        return None
    try:
        value = sum((float(part) / 60.0**place for place, part in enumerate(parts)), 0.0)
    except (TypeError, ValueError, ArithmeticError):
        return None
    sign = _ascii(reference).strip("\0 ").upper()[:1]
    if not math.isfinite(value) or not 0 <= value <= most or not sign or sign not in signs:
        return None
    return round(-value if sign == signs[1] else value, 6)


def _user_comment(value: object) -> str:
    """EXIF 2.32, 4.6.5: eight bytes name the character code of the rest."""
    if not isinstance(value, bytes):
        return _ascii(value)
    code, body = value[:8].rstrip(b"\0 "), value[8:]
    if code == b"UNICODE":
        return _utf16(body)
    if code == b"JIS":
        return body.decode("iso2022_jp", "ignore")
    return _bytes(body if code in (b"ASCII", b"") else value)


def _utf16(body: bytes) -> str:
    # The byte order is that of the EXIF block, but writers disagree: Latin text tells.
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "ignore")
    big = body[0::2].count(0) > body[1::2].count(0)
    return body.decode("utf-16-be" if big else "utf-16-le", "ignore")


def _ascii(value: object) -> str:
    """Pillow reads EXIF's ASCII as Latin-1; what was UTF-8 shows itself by being valid."""
    if isinstance(value, bytes):
        return _bytes(value)
    if not isinstance(value, str):
        return ""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _bytes(value: bytes) -> str:
    value = value[: 4 * MAX_CHARS]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(value) - 3 and error.reason == "unexpected end of data":
            return value.decode("utf-8", "ignore")
        return value.decode("cp1252", "replace")


# IPTC

_IPTC = {
    (2, 120): "iptc:caption",
    (2, 105): "iptc:headline",
    (2, 5): "iptc:object-name",
    (2, 25): "iptc:keywords",
    (2, 92): "iptc:sublocation",
    (2, 90): "iptc:city",
    (2, 95): "iptc:province",
    (2, 101): "iptc:country",
    (2, 55): "iptc:date-created",
    (2, 80): "iptc:byline",
}
_UTF8 = b"\x1b%G"


def _iptc(image: Image.Image) -> Iterator[Text]:
    if not isinstance(image, ImageFile.ImageFile):
        return
    records = IptcImagePlugin.getiptcinfo(image) or {}
    utf8 = records.get((1, 90)) == _UTF8
    for number, name in _IPTC.items():
        value = records.get(number)
        values = value if isinstance(value, list) else [value] if value else []
        # Without a declared charset, most writers of today mean UTF-8 all the same.
        texts = (v.decode("utf-8", "replace") if utf8 else _bytes(v) for v in values[:MAX_LIST])
        yield name, ", ".join(filter(None, (t.strip("\0 ") for t in texts)))


# XMP

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_IPTC_CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_XMP = {
    f"{_DC}description": "xmp:description",
    f"{_DC}title": "xmp:title",
    f"{_PHOTOSHOP}Headline": "xmp:Headline",
    f"{_IPTC_CORE}AltTextAccessibility": "xmp:AltTextAccessibility",
    f"{_IPTC_CORE}ExtDescrAccessibility": "xmp:ExtDescrAccessibility",
    f"{_DC}subject": "xmp:subject",
    f"{_IPTC_CORE}Location": "xmp:Location",
    f"{_PHOTOSHOP}City": "xmp:City",
    f"{_PHOTOSHOP}State": "xmp:State",
    f"{_PHOTOSHOP}Country": "xmp:Country",
    f"{_PHOTOSHOP}DateCreated": "xmp:DateCreated",
    f"{_DC}creator": "xmp:creator",
}


def _xmp(image: Image.Image) -> Iterator[Text]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, tuple | list):  # a TIFF tag of bytes
        packet = bytes(packet)
    if not packet or len(packet) > MAX_XMP:
        return
    packet = packet.strip(b"\0 \n") if isinstance(packet, bytes) else packet.strip("\0 \n")
    root = ElementTree.fromstring(packet)
    for description in root.iter(f"{_RDF}Description"):
        for key, text in description.attrib.items():
            if key in _XMP:
                yield _XMP[key], text
        for child in description:
            if child.tag in _XMP:
                yield _XMP[child.tag], _property(child)


def _property(element: Element) -> str:
    """Text of a simple property, of all of a bag or sequence, or of the default language."""
    items = [li for li in element.iter(f"{_RDF}li") if li.text and li.text.strip()][:MAX_LIST]
    if not items:
        return element.text or ""
    if element.find(f"{_RDF}Alt") is not None:
        lang = "{http://www.w3.org/XML/1998/namespace}lang"
        default = next((li for li in items if li.get(lang) == "x-default"), items[0])
        return default.text or ""
    return ", ".join((li.text or "").strip() for li in items)


# PNG text chunks before the pixels, and the comments of JPEG and GIF


def _comments(image: Image.Image) -> Iterator[Text]:
    if image.format == "PNG":
        for key in ("Title", "Description", "Comment"):
            value = image.info.get(key)
            if isinstance(value, str):
                # tEXt is Latin-1 by the letter, UTF-8 by the habit of many writers.
                yield f"png:{key}", _ascii(value)
    comment = image.info.get("comment")
    if isinstance(comment, bytes | str) and image.format:
        yield f"{image.format.lower()}:comment", _ascii(comment)
