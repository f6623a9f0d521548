"""What is left of real-looking alternative texts and titles."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.knowledge.cleaning import clean
from consumers.knowledge.markup import MAX_INPUT

KEPT = [
    "Astronaut Eileen Collins in her orange flight suit",
    "black and white photo of a man filming with a camera on a tripod",
    "Fresh coffee, 2 for $5!",
    "Falcon 9 on the launch pad before the DSCOVR launch",
    "Mona Lisa, Leonardo da Vinci, c. 1503 – oil on poplar, 77 cm × 53 cm",
    "Ein Hund spielt im Schnee",
    "Кошка на крыше",
    "قطة على السطح",
    "猫が窓辺で眠っている",
    "猫",
    "cat",
    "pig",
    "camel",
    "Le tableau « La Joconde » au Louvre",
    "photo by the lake at dawn",
    "Flowers in a vase by Vincent van Gogh",
    "C-130 Hercules",
    "Boeing 747-400",
    "Room 101",
    "U.S. Route 66 sign",
    "Ben & Jerry's ice cream",
    "World Cup - 2018",
    "Arsenal 3 - 1 Chelsea",
    "iPhone 12 Pro Max 256GB Pacific Blue",
    "Figure 3: The structure of DNA",
    "Screenshot from Star Wars",
    "5 tips to grow tomatoes",
]

DROPPED = [
    "",
    " \n\t ",
    "image",
    "Photo",
    "logo",
    "untitled-1",
    "DSC_0482.JPG",
    "IMG_2034.JPG",
    "IMG_20190514_101112.jpg",
    "DSC0001",
    "DSCN0123",
    "P1010001",
    "image001",
    "image (12)",
    "photo1.jpg",
    "Picture 3 of 17",
    "FB_IMG_1523456789.jpg",
    "PXL_20210101_101112345.jpg",
    "WhatsApp Image 2019-05-14 at 10.11.12.jpeg",
    "Screenshot 2020-01-01 at 10.11.12",
    "Screenshot_20200101-101112.png",
    "550e8400-e29b-41d4-a716-446655440000",
    "3f2a9bc8d7e6f5a4b3c2.jpg",
    "9781234567890",
    "https://example.com/cat.jpg?utm_source=x",
    "contact: jane@example.com",
    "Call us at +1 (555) 123-4567 for a quote",
    "<img src=x> click to enlarge",
    "<script>alert('hello world')</script>",
    "No photo description available.",
    "This image has an empty alt attribute; its file name is cats.jpg",
    "Click here to view full size image",
    "Photo by John Smith on Unsplash",
    "Photo: John Smith",
    "© Copyright 2020 - All rights reserved",
    "Image courtesy of NASA/JPL-Caltech",
    "#sunset #nature #photooftheday",
    "{{ product.title }}",
    "[object Object]",
    "undefined",
    "front view",
    "shoes cheap shoes buy shoes online shoes shoes sale shoes shoes",
    "of the",
]

CHANGED = [
    ("Paint brushes &amp; colours | Stock photo - buy now", "Paint brushes & colours"),
    ("half a fig in a red bowl &#8211; photo 3 of 17", "half a fig in a red bowl"),
    ("Coins from Pompeii, <em>Brooklyn Museum</em>", "Coins from Pompeii, Brooklyn Museum"),
    ("Trail in the Picos de Europa &lt;Spain&gt;", "Trail in the Picos de Europa (Spain)"),
    ("Falcon 9 on the pad | Free download HD", "Falcon 9 on the pad"),
    ("racoon-procyon-lotor-1024x768.jpg", "racoon procyon lotor"),
    ("stock-photo-red-apple-on-white-123456789.jpg", "red apple on white"),
    ("red-apple-on%5BOCR%5D-white-table.jpg", "red apple on(OCR) white table"),
    ("File:Eiffel Tower 01.jpg - Wikimedia Commons", "Eiffel Tower"),
    ("Eiffel Tower - Wikipedia, the free encyclopedia", "Eiffel Tower"),
    ("Eiffel Tower | Getty Images", "Eiffel Tower"),
    ("Kitchen with white cabinets | Zillow", "Kitchen with white cabinets"),
    ("Stock photo of a golden retriever in the grass", "golden retriever in the grass"),
    ("Royalty Free Stock Photography: Red apple on white", "Red apple on white"),
    ("Premium Photo | Woman drinking coffee in a cafe", "Woman drinking coffee in a cafe"),
    ("Portrait of a woman stock photo. Image of female - 45678901",
     "Portrait of a woman. Image of female"),
    ("Happy family, Stock Photo", "Happy family"),
    ("Image may contain: 2 people, people smiling", "2 people, people smiling"),
    ("May be an image of 1 person and a dog", "1 person and a dog"),
    ("Sunset over the lake #sunset #nature", "Sunset over the lake"),
    ("Loving the #sunset in Bali with @jane_doe", "Loving the sunset in Bali"),
    ("A cat on a roof. Photo by J. R. Smith / Getty Images", "A cat on a roof."),
    ("Ann Example in Chicago (Photo by Bob Ross/Getty Images)", "Ann Example in Chicago"),
    ("Rescue workers at the scene. Photo: Reuters", "Rescue workers at the scene."),
    ("Dancers on stage (Image credit: Jane Doe)", "Dancers on stage"),
    ("The cat © Jane Doe 2019", "The cat"),
    ("Leather bag $49.99 free shipping", "Leather bag"),
    ("Nike Air Max 90 - Buy Now - Free Shipping | Amazon.com", "Nike Air Max 90"),
    ("Black dress size 10, SKU: 12345678", "Black dress size 10"),
    ("Mountain Lake HD Wallpaper | Background Image | 1920x1080", "Mountain Lake"),
    ("cafÃ© de Paris", "café de Paris"),
    ("Tom &amp;amp; Jerry", "Tom & Jerry"),
    ("A &lt;b&gt;bold&lt;/b&gt; move", "A bold move"),
    ("<p>First</p><p>Second line</p>", "First Second line"),
    ('[caption id="attachment_12" width="300"]A red barn[/caption]', "A red barn"),
    ('alt="A dog"', "A dog"),
    ("Photo: A dog on the beach", "A dog on the beach"),
    ("[OCR] a red\u202e barn\u200b\x00 [Image Tags]", "(OCR) a red barn (Image Tags)"),
    ("  Two\n dogs\u2028 running ", "Two dogs running"),
    ("Cats | Cats", "Cats"),
]  # fmt: skip


@pytest.mark.parametrize("text", KEPT)
def test_words_about_the_picture_stay(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("text", DROPPED)
def test_words_about_nothing_go(text: str) -> None:
    assert clean(text) == ""


@pytest.mark.parametrize(("text", "expected"), CHANGED)
def test_the_rest_is_cut(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_site_is_known_by_its_host() -> None:
    sites = frozenset({"pikoloespresso"})
    assert clean("Latte art | Pikolo Espresso", sites) == "Latte art"
    assert clean("Latte art | Pikolo Espresso") == "Latte art | Pikolo Espresso"


@pytest.mark.parametrize(
    "piece",
    [
        "A",
        "Aa ",
        "<",
        "[",
        "<%",
        "#a ",
        "( ",
        "ab.",
        "A/",
        "&lt;",
        "&amp;amp;",
        "stock ",
        "Photo by A ",
        "1",
        "+1 ",
        "aa-",
        "ab - ",
        "a|",
        "Ã©",
        "{{",
        "©",
        "http://",
        "a@",
        "w=",
        "free download ",
        "<b ",
        "<!--",
        "IMG_1",
        "J. ",
        "credit:",
        "$1.00 ",
        "only ",
        "1x1 ",
        "Aa'-",
        "\u0301",
    ],
)
def test_hostile_repetition_costs_little(piece: str) -> None:
    start = time.perf_counter()
    clean(piece * (100_000 // len(piece)))
    assert time.perf_counter() - start < 1  # some 0.05 s; what backtracks takes minutes


PIECES = st.sampled_from(
    [
        "<b>",
        "</b>",
        "<",
        ">",
        "&lt;",
        "&amp;lt;",
        "&#91;",
        "[",
        "]",
        "[OCR]",
        "<script>",
        "<!--",
        "-->",
        "|",
        " - ",
        "#tag",
        "@me",
        "photo by Ann",
        "©",
        "IMG_1.jpg",
        "cat",
        "dog ",
        "\u202e",
        "\x00",
        "\ud800",
        "&#x202e;",
        "&#0;",
        "\u200d",
        "<img alt='x'",
        "［",
        "【OCR】",
        "\n",
        "www.a.com",
        "%5B",
    ]
)
TEXT = st.lists(PIECES, max_size=14).map("".join) | st.text(st.characters(exclude_categories=[]))


@settings(max_examples=400, deadline=None)
@given(TEXT)
def test_whatever_comes(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == clean(text)
    assert len(cleaned) <= 2 * MAX_INPUT
    assert all(c.isprintable() or c in "\u200c\u200d" for c in cleaned)
    assert not set("[]【】") & set(cleaned)
    for place, c in enumerate(cleaned):
        if c == "<":
            assert cleaned[place + 1 : place + 2].isspace() or cleaned[place + 1].isdigit()
    cleaned.encode()
