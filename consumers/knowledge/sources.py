"""Where an image's record says something of the picture, the most trusted first.

A person's words about this very picture come first (alternative text, captions within the file),
then the page's, then where and when it was taken, keywords, and last the words of an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from consumers.knowledge.boilerplate import is_software
from consumers.knowledge.cleaning import clean, squashed
from consumers.knowledge.markup import MAX_INPUT, plain
from consumers.knowledge.names import is_meaningful, slug_words, words
from consumers.knowledge.statements import Statement

_CAPTIONS = (
    "iptc:caption", "xmp:description", "xmp:AltTextAccessibility", "xmp:ExtDescrAccessibility",
    "exif:ImageDescription", "exif:UserComment", "exif:XPComment", "png:Description",
    "png:Comment", "jpeg:comment", "mpo:comment", "gif:comment",
)  # fmt: skip
_TITLES = (
    "xmp:title", "xmp:Headline", "iptc:headline", "iptc:object-name", "exif:XPTitle",
    "exif:XPSubject", "png:Title",
)  # fmt: skip
_KEYWORDS = ("iptc:keywords", "xmp:subject", "exif:XPKeywords")
_PLACES = (
    ("iptc:sublocation", "xmp:Location"),
    ("iptc:city", "xmp:City"),
    ("iptc:province", "xmp:State"),
    ("iptc:country", "xmp:Country"),
)
_WHERE = tuple(name for names in _PLACES for name in names)
_DATES = ("exif:DateTimeOriginal", "iptc:date-created", "xmp:DateCreated")

# A column is judged by the last word of its name: page_title, og:description, sectionTitle.
_TELLING = (
    {"caption", "captions", "figcaption", "description", "summary", "subject"},
    {"title", "headline", "heading", "page", "name"},
    {"keywords", "keyword", "tags"},
    {"text", "context", "snippet", "abstract"},
)
_DESCRIBING, _NAMING, _LISTING, _AROUND = _TELLING
_UNTOLD = {"file", "user", "site", "host", "domain", "author", "photographer", "license", "is"}
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

MAX_COLUMNS = 24
MAX_TOTAL = 16_000  # characters read of the file's texts, and as many of the list's columns
MAX_KEYWORDS = 12
_EARLIEST = 1840
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DATE = re.compile(r"^\s*(\d{4})[:\-/.]?(\d{2})[:\-/.]?(\d{2})(?!\d)(?:[T\s]+(\d\d:\d\d))?")


def candidates(image: Mapping[str, Any]) -> Iterator[Statement]:
    """Cleaned statements of an `Image` record, unmerged, each with its source."""
    embedded = _bounded(image.get("embedded"), (*_CAPTIONS, *_TITLES, *_KEYWORDS, *_WHERE, *_DATES))
    extra = _columns(image.get("extra"))
    sites = _sites(image)
    yield from _said("alt-text", image.get("alt_text"), sites)
    yield from _embedded(embedded, _CAPTIONS, sites)
    yield from _page(extra, _DESCRIBING, sites)
    yield from _embedded(embedded, _TITLES, sites)
    yield from _page(extra, _NAMING, sites)
    yield from _place(embedded)
    yield from _date(embedded, image.get("fetched_at"))
    for name in _KEYWORDS:
        yield from _list(name, embedded.get(name, ""), sites)
    for name in [name for name in extra if _kind(name) in _LISTING]:
        yield from _list(f"page:{name}", extra[name], sites)
    yield from _page(extra, _AROUND, sites)
    yield from _address(image.get("page_url"))


def _bounded(texts: object, names: Iterable[str]) -> dict[str, str]:
    """Those of `texts` that are named, while they are `MAX_TOTAL` characters together."""
    chosen: dict[str, str] = {}
    left = MAX_TOTAL
    for name in names:
        text = texts.get(name) if isinstance(texts, Mapping) else None
        if isinstance(text, str) and text and left > 0:
            chosen[name] = text[: min(left, MAX_INPUT)]
            left -= len(chosen[name])
    return chosen


def _columns(extra: object) -> dict[str, str]:
    """The telling columns of a list, the most telling first; names are at most 64 characters."""
    names = [n for n in extra if isinstance(n, str)] if isinstance(extra, Mapping) else []
    ranked = ((rank, n) for n in names for rank, kinds in enumerate(_TELLING) if _kind(n) in kinds)
    chosen = [name for _, name in sorted(ranked) if len(name) <= 64 and name.isprintable()]
    return _bounded(extra, chosen[:MAX_COLUMNS])


def _sites(image: Mapping[str, Any]) -> frozenset[str]:
    """Names in the hosts of the picture and its page: ``brooklynmuseum``."""
    labels: set[str] = set()
    for url in (image.get("url"), image.get("page_url")):
        labels.update(squashed(label) for label in _host(url).split(".")[:-1])
    return frozenset(label for label in labels if len(label) >= 4)


def _host(url: object) -> str:
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:
        return ""


def _said(source: str, text: object, sites: frozenset[str]) -> Iterator[Statement]:
    if isinstance(text, str) and (cleaned := clean(text, sites)):
        yield Statement(text=cleaned, source=source)


def _embedded(
    embedded: Mapping[str, str], names: tuple[str, ...], sites: frozenset[str]
) -> Iterator[Statement]:
    for name in names:
        text = embedded.get(name, "")
        if text and not is_software(plain(text)):
            yield from _said(name, text, sites)


def _kind(column: str) -> str:
    """The last word of a column's name, or "" where it is about something else."""
    parts = [p.lower() for p in _NAME_PARTS.findall(column)]
    return parts[-1] if parts and not _UNTOLD.intersection(parts) else ""


def _page(extra: Mapping[str, str], kinds: set[str], sites: frozenset[str]) -> Iterator[Statement]:
    for column in [name for name in extra if _kind(name) in kinds]:
        yield from _said(f"page:{column}", extra[column], sites)


def _list(source: str, text: str, sites: frozenset[str]) -> Iterator[Statement]:
    items: dict[str, str] = {}
    for item in re.split(r"[,;|]", plain(text))[: 4 * MAX_KEYWORDS]:
        cleaned = clean(item, sites)
        if cleaned and len(cleaned) <= 60 and len(items) < MAX_KEYWORDS:
            items.setdefault(cleaned.casefold(), cleaned)
    if items:
        yield Statement(text=", ".join(items.values()), source=source)


def _place(embedded: Mapping[str, str]) -> Iterator[Statement]:
    parts: dict[str, str] = {}
    for names in _PLACES:
        for name in names:
            place = clean(embedded.get(name, "")[:200])
            if place and len(place) <= 80 and place not in parts.values():
                parts[name] = place
                break
    if parts:
        yield Statement(
            text=f"Taken in {', '.join(parts.values()).rstrip('.')}.", source=next(iter(parts))
        )


def _date(embedded: Mapping[str, str], fetched: object) -> Iterator[Statement]:
    for name in _DATES:
        day = _day(embedded.get(name, ""))
        if day and not (isinstance(fetched, datetime) and day > fetched.date()):
            text = f"Taken on {day.day} {_MONTHS[day.month - 1]} {day.year}."
            yield Statement(text=text, source=name)
            return


def _day(text: str) -> date | None:
    """None too for a clock that was never set: midnight of a first of January."""
    found = _DATE.match(text)
    if not found:
        return None
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
    unset = (day.month, day.day) == (1, 1) and (found[4] or "00:00") <= "00:59"
    return None if unset or day.year < _EARLIEST else day


def _address(page_url: object) -> Iterator[Statement]:
    """The words of a page's address, if it clearly has some: the least trusted source."""
    if not _host(page_url):
        return
    segments = [s for s in unquote(urlsplit(str(page_url)[:2000]).path).split("/") if s]
    stem = re.sub(r"\.\w{2,5}$", "", segments[-1]) if segments else ""
    text = plain(slug_words(stem, at_least=3)) if re.search(r"\w[-_+ ]\w", stem) else ""
    if text and is_meaningful(text) and len(words(text)) <= 20:
        yield Statement(text=clean(text), source="page-url")
