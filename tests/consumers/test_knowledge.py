"""Statements of whole image records: sources, order, merging, bounds."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.expert import Sighting
from consumers.experts.knowledge import Knowledge
from consumers.knowledge.statements import MAX_CHARS, MAX_STATEMENTS, Statement, cut, merge
from densefusion.settings import Experts


async def find(**image: Any) -> dict[str, str]:
    """Texts by their source."""
    expert = Knowledge(Experts())
    findings = await expert.find(Sighting(image=image, pixels=None))
    fastavro.schemaless_writer(io.BytesIO(), fastavro.parse_schema(expert.schema()), findings)
    assert expert.describe(findings) == [s["text"] for s in findings["statements"]]
    return {s["source"]: s["text"] for s in findings["statements"]}


async def test_every_source_in_order_of_trust() -> None:
    found = await find(
        alt_text="Rocket on the pad",
        page_url="https://news.example.org/2015/launch-of-the-dscovr-satellite.html?x=1",
        extra={
            "page_title": "Launch day | News Example",
            "width": "100",
            "NSFW": "UNLIKELY",
            "keywords": "rocket, space, rocket, free download",
            "text": "Crowds came to see it.",
        },
        embedded={
            "iptc:caption": "A Falcon 9 carrying DSCOVR.",
            "iptc:headline": "DSCOVR leaves",
            "iptc:city": "Cape Canaveral",
            "iptc:country": "United States",
            "xmp:Country": "USA",
            "exif:DateTimeOriginal": "2015:02:11 18:03:00",
            "exif:Make": "Canon",
            "exif:Artist": "Ann",
            "exif:GPSLatitude": "28.5",
        },
    )
    assert list(found.items()) == [
        ("alt-text", "Rocket on the pad"),
        ("iptc:caption", "A Falcon 9 carrying DSCOVR."),
        ("iptc:headline", "DSCOVR leaves"),
        ("page:page_title", "Launch day | News Example"),
        ("iptc:city", "Taken in Cape Canaveral, United States."),
        ("exif:DateTimeOriginal", "Taken on 11 February 2015."),
        ("page:keywords", "rocket, space"),
        ("page:text", "Crowds came to see it."),
    ]


async def test_nothing_is_an_answer() -> None:
    assert await find() == {}
    assert await find(alt_text=None, extra={}, embedded={}, page_url=None) == {}
    assert await find(alt_text="IMG_2034.JPG", page_url="https://example.org/?p=12") == {}


@pytest.mark.parametrize(
    "default",
    [
        "OLYMPUS DIGITAL CAMERA",
        "SONY DSC",
        "Created with GIMP",
        "Processed with VSCO with a6 preset",
        "charset=Ascii",
        "Adobe Photoshop CS6",
        "Digital StillCamera",
        "KODAK DIGITAL STILL CAMERA",
        "SAMSUNG CAMERA PICTURES",
        "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90",
        "File source: http://commons.wikimedia.org/wiki/File:X.jpg",
        "DCIM\\100MEDIA\\DJI_0001.JPG",
    ],
)
async def test_software_defaults_are_no_knowledge(default: str) -> None:
    embedded = {"exif:ImageDescription": default, "exif:UserComment": default}
    assert await find(embedded=embedded) == {}


async def test_a_product_may_be_called_what_software_says() -> None:
    assert await find(alt_text="digital camera") == {"alt-text": "digital camera"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019:05:14 10:11:12", "Taken on 14 May 2019."),
        ("20190514", "Taken on 14 May 2019."),
        ("2019-05-14T10:11:12+02:00", "Taken on 14 May 2019."),
        ("0000:00:00 00:00:00", None),
        ("2019:13:41 10:11:12", None),
        ("2000:01:01 00:00:07", None),
        ("1970:01:01 00:00:00", None),
        ("0206:05:14 10:11:12", None),
        ("2031:05:14 10:11:12", None),
        ("    :  :     :  :  ", None),
    ],
)
async def test_dates(text: str, expected: str | None) -> None:
    found = await find(
        embedded={"exif:DateTimeOriginal": text}, fetched_at=datetime(2024, 6, 1, tzinfo=UTC)
    )
    assert found.get("exif:DateTimeOriginal") == expected


async def test_places_come_from_either_block_once() -> None:
    found = await find(embedded={"xmp:City": "Luxembourg", "iptc:country": "Luxembourg"})
    assert found == {"xmp:City": "Taken in Luxembourg."}
    assert await find(embedded={"iptc:city": "-", "iptc:country": "N/A"}) == {}


@pytest.mark.parametrize(
    ("page_url", "expected"),
    [
        ("https://x.org/hiking-in-northern-spain/", "hiking in northern spain"),
        ("https://x.org/" + quote("кошка-на-крыше-дома"), "кошка на крыше дома"),
        ("https://x.org/index.php?id=12", None),
        ("https://x.org/p/B0012-XK77-QQ9", None),
        ("https://x.org/product-category-item", None),
        ("https://x.org/a1b2c3d4e5f6", None),
        ("http://[::1", None),
        ("not a url", None),
    ],
)
async def test_the_words_of_an_address(page_url: str, expected: str | None) -> None:
    assert (await find(page_url=page_url)).get("page-url") == expected


@pytest.mark.parametrize(
    ("column", "used"),
    [
        ("title", True),
        ("og:description", True),
        ("sectionTitle", True),
        ("page", True),
        ("CAPTION", True),
        ("context_page_description", True),
        ("license_title", False),
        ("site_name", False),
        ("language", False),
        ("similarity", False),
        ("file_name", False),
    ],
)
async def test_telling_columns(column: str, used: bool) -> None:
    found = await find(extra={column: "A heron in the reeds"})
    assert found == ({f"page:{column}": "A heron in the reeds"} if used else {})


async def test_a_site_suffix_goes_by_the_pages_host() -> None:
    found = await find(
        page_url="https://www.brooklynmuseum.org/x", extra={"title": "Coins | Brooklyn Museum"}
    )
    assert found == {"page:title": "Coins"}


async def test_contained_statements_are_merged() -> None:
    found = await find(
        alt_text="Grace Hopper",
        extra={"title": "Grace Hopper, pioneer of computing", "caption": "GRACE HOPPER!"},
    )
    assert found == {"page:title": "Grace Hopper, pioneer of computing"}


def said(*texts: str) -> list[str]:
    return [s["text"] for s in merge(Statement(text=t, source="x") for t in texts)]


def test_merging_respects_words() -> None:
    assert said("cat", "catalogue of art") == ["cat", "catalogue of art"]
    assert said("a cat on a roof", "cat") == ["a cat on a roof"]
    assert said("dog", "cat", "a dog and a cat") == ["a dog and a cat"]
    assert said("cat, dog", "dog cat") == ["cat, dog"]
    assert said("窓辺", "猫が窓辺で眠っている") == ["猫が窓辺で眠っている"]
    assert len(said(*(f"statement number {n}x" for n in range(50)))) == MAX_STATEMENTS


def test_cutting() -> None:
    assert cut("short") == "short"
    sentence = "word " * 40 + "end. "
    assert cut(sentence * 3) == sentence.strip()
    words = cut("abcdefghi " * 100)
    assert len(words) <= MAX_CHARS and words.endswith("abcdefghi…")
    assert len(cut("猫" * 1000)) == MAX_CHARS


ANY = st.text(st.characters(exclude_categories=[]), max_size=400)
NAMES = st.sampled_from(
    [
        "title",
        "caption",
        "text",
        "keywords",
        "iptc:caption",
        "iptc:city",
        "exif:UserComment",
        "exif:DateTimeOriginal",
        "xmp:subject",
        "xmp:description",
        "jpeg:comment",
    ]
)
MAPS = st.dictionaries(NAMES | ANY, ANY, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.none() | ANY, MAPS, MAPS, st.none() | ANY | ANY.map("https://a.example/".__add__))
async def test_whatever_a_record_says(
    alt: str | None, extra: dict[str, str], embedded: dict[str, str], page_url: str | None
) -> None:
    found = await find(alt_text=alt, extra=extra, embedded=embedded, page_url=page_url, url="x")
    assert len(found) <= MAX_STATEMENTS
    for source, text in found.items():
        assert 0 < len(text) <= MAX_CHARS and len(source) <= 70
        assert not set("[]\n\0\u202e") & set(text + source)


async def test_a_huge_record_is_bounded() -> None:
    extra = {f"{n}_title": "Stock photo free " * 10_000 for n in range(1000)}
    assert len(await find(alt_text="cat " * 500_000, extra=extra)) <= MAX_STATEMENTS
