from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import columns
from producers.columns import Columns
from producers.rows import BadRow, Row, cap, url_id

NAMES = {
    "LAION": ("SAMPLE_ID URL TEXT HEIGHT WIDTH", "URL", "TEXT", None),
    "DataComp": ("uid url text original_width sha256", "url", "text", None),
    "COYO": ("id url text width image_phash", "url", "text", None),
    "WIT": (
        "language page_url image_url page_title caption_alt_text_description",
        "image_url", "caption_alt_text_description", "page_url",
    ),
    "RedCaps": ("image_id author image_url raw_caption caption", "image_url", "caption", None),
    "Open Images": (
        "ImageID OriginalURL OriginalLandingURL Title", "OriginalURL", "Title",
        "OriginalLandingURL",
    ),
    "image folder": ("file_name text", "file_name", "text", None),
    "HTML": ("src alt referrer", "src", "alt", "referrer"),
    "mixed": ("Link source_page Alt-Text", "Link", "Alt-Text", "source_page"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_known_names(name: str) -> None:
    header, url, alt, page = NAMES[name]
    names = header.split()
    places = columns.find(names, Columns(), "list")
    assert names[places.url] == url
    assert places.alt_text is not None and names[places.alt_text] == alt
    assert (None if places.page_url is None else names[places.page_url]) == page
    assert {each for _, each in places.extra} == set(names) - {url, alt}


def test_a_page_that_is_no_url_travels_as_extra() -> None:
    places = columns.find(["url", "page"], Columns(), "list")
    assert places.row(["u", "Our pets"], "s") == Row("u", None, None, "s", {"page": "Our pets"})
    assert places.row(["u", "http://p"], "s") == Row("u", None, "http://p", "s")


def test_values_of_any_type_become_bounded_text() -> None:
    places = columns.find(["url", "alt", "a", "b", "c"], Columns(), "list")
    row = places.row([" u ", ["x"], 1, {"k": None}, "\ud800" + "ü" * 5000], "s")
    assert isinstance(row, Row)
    assert (row.url, row.alt_text) == ("u", '["x"]')
    assert row.extra["a"] == "1" and row.extra["b"] == '{"k": null}'
    assert len(row.extra["c"].encode()) <= 2048 and row.extra["c"].startswith("?ü")


def test_a_url_too_long_is_bad() -> None:
    row = columns.find(["url"], Columns(), "list").row(["ü" * 5000], "s")
    assert isinstance(row, BadRow)
    assert len(row.text.encode()) <= 8192


@given(st.text(), st.integers(0, 30))
def test_cap_gives_valid_text_within_the_limit(text: str, limit: int) -> None:
    assert len(cap(text, limit).encode()) <= limit


def test_url_id_is_the_sha256_of_the_stripped_url() -> None:
    expected = "54df484bb282e7e472b74675fab8f1b61a6c46a2988252b6d2bf35d9afa8f5c0"  # sha256sum
    assert url_id("http://a") == url_id(" http://a\n") == expected
    assert url_id("http://A") != expected
