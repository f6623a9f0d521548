"""Which column of a list is which: names of the well-known data sets, or named by the user.

Known without help: LAION (``URL``, ``TEXT``), DataComp and COYO (``url``, ``text``), CC3M and
CC12M (no header), WIT (``image_url``, ``page_url``, ``caption_alt_text_description``), RedCaps,
Open Images (``OriginalURL``), Hugging Face image folders (``file_name``), and their like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from densefusion.errors import SourceError
from producers import rows
from producers.rows import BadRow, Row

# Compared without case and punctuation: "Image URL", "image_url" and "imageUrl" are one.
# Earlier names win.
_URL = (
    "url", "imageurl", "imgurl", "imagelink", "imagesrc", "imgsrc", "src", "contenturl",
    "originalurl", "photoimageurl", "pictureurl", "photourl", "mediaurl", "urls", "link", "href",
    "uri", "imageuri", "imagehref", "filename", "file", "filepath", "imagepath", "imagefile",
    "imagename", "path", "image", "img",
)  # fmt: skip
_ALT = (
    "alttext", "alt", "imagealt", "imgalt", "caption", "text", "captionalttextdescription",
    "rawcaption", "alternativetext", "imagecaption", "imagetext", "description", "title",
)  # fmt: skip
_PAGE = (
    "pageurl", "page", "referrer", "referer", "sourcepage", "pagelink", "webpageurl", "webpage",
    "hostpageurl", "originallandingurl", "landingurl", "sourceurl", "parenturl",
)  # fmt: skip

_NOT_ALNUM = re.compile(r"[\W_]+")
_SHOWN = 40
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Columns:
    """Names given by the user; what is None is found by its name.

    A list without a header has the names ``column1``, ``column2``, ...
    """

    url: str | None = None
    alt_text: str | None = None
    page_url: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a row the parts are. `extra` has the position and the name of each other column."""

    url: int
    alt_text: int | None
    page_url: int | None
    extra: tuple[tuple[int, str], ...]

    def row(self, values: Sequence[object], source: str) -> Row | BadRow:
        """The values of one row, in the order of the columns, as a `Row` within bounds."""
        url = _text(values[self.url]).strip()
        if not rows.is_unicode(url):
            return BadRow("the URL is not valid Unicode", rows.cap(url, rows.URL_BYTES), source)
        if len(url.encode()) > rows.URL_BYTES:
            detail = f"the URL is longer than {rows.URL_BYTES} bytes"
            return BadRow(detail, rows.cap(url, rows.URL_BYTES), source)
        page = self._page_url(values)
        extra: dict[str, str] = {}
        for place, name in self.extra:
            if len(extra) >= rows.EXTRA_COUNT:
                break
            if place == self.page_url and page is not None:
                continue
            text = rows.cap(_text(values[place]), rows.EXTRA_BYTES)
            if text:
                extra[name] = text
        return Row(url, self._alt_text(values), page, source, extra)

    def _alt_text(self, values: Sequence[object]) -> str | None:
        if self.alt_text is None:
            return None
        text = rows.cap(_text(values[self.alt_text]), rows.ALT_TEXT_BYTES)
        return text if text.strip() else None

    def _page_url(self, values: Sequence[object]) -> str | None:
        """None if the column holds something else (then that is among `extra`)."""
        if self.page_url is None:
            return None
        text = _text(values[self.page_url]).strip()
        if not rows.has_scheme(text) or not rows.is_unicode(text):
            return None
        return text if len(text.encode()) <= rows.URL_BYTES else None


def find(names: Sequence[str], wanted: Columns, where: str) -> Places:
    """Finds the columns by their names.

    Raises:
        SourceError: no column holds URLs, or a column named by the user is not there.
    """
    plain = [_plain(name) for name in names]

    def named(name: str) -> int:
        if name in names:
            return list(names).index(name)
        if _plain(name) in plain:
            return plain.index(_plain(name))
        raise SourceError(f"{where} has no column {name!r}; it has {_listed(names)}")

    def known(candidates: tuple[str, ...], taken: set[int | None]) -> int | None:
        for candidate in candidates:
            if candidate in plain and plain.index(candidate) not in taken:
                return plain.index(candidate)
        return None

    url = named(wanted.url) if wanted.url is not None else known(_URL, set())
    if url is None:
        raise SourceError(
            f"{where} has no column with a name known for image URLs; it has {_listed(names)}. "
            "Name the right one with --url-column"
        )
    alt = named(wanted.alt_text) if wanted.alt_text is not None else known(_ALT, {url})
    page = named(wanted.page_url) if wanted.page_url is not None else known(_PAGE, {url, alt})
    return _places(names, url, alt, page)


def find_without_header(cells: Sequence[str], wanted: Columns, where: str) -> Places:
    """Finds the columns of a list without a header by its first row, in which one is a URL.

    Of two columns, the other one is the alt text (CC3M has it first, CC12M second).
    """
    names = [f"column{number}" for number in range(1, len(cells) + 1)]
    if wanted.url is None:
        url = next(place for place, cell in enumerate(cells) if rows.has_scheme(cell))
        alt = names[1 - url] if len(cells) == _PAIR else None
        wanted = Columns(names[url], wanted.alt_text or alt, wanted.page_url)
    return find(names, wanted, where)


def _places(names: Sequence[str], url: int, alt: int | None, page: int | None) -> Places:
    extra = tuple(
        (place, rows.cap(name.strip(), rows.NAME_BYTES) or f"column{place + 1}")
        for place, name in enumerate(names)
        if place not in (url, alt)
    )
    # A page column stays among the extra ones only for values that are not URLs, such as a title.
    return Places(url, alt, page, extra)


def _plain(name: str) -> str:
    return _NOT_ALNUM.sub("", name.casefold())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(rows.cap(name, rows.NAME_BYTES)) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"the columns {shown}{more}" if names else "no columns"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return ""
