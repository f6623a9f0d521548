"""A row of a URL list, good or bad, and the bounds that hold for both.

Lists come from the web: every text is cut or refused at a fixed length here, once, so that no
row can grow beyond what a Kafka message takes (1 MB).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

URL_BYTES = 8 << 10
ALT_TEXT_BYTES = 32 << 10
EXTRA_BYTES = 2 << 10
EXTRA_COUNT = 32
NAME_BYTES = 128

_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(slots=True)
class Row:
    """One image URL, as its list has it. `extra` holds the list's further columns as text."""

    url: str
    alt_text: str | None = None
    page_url: str | None = None
    source: str = ""
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class BadRow:
    """A row that cannot be read: why, and the text as it came (cut at `URL_BYTES`)."""

    detail: str
    text: str = ""
    source: str = ""


def url_id(url: str) -> str:
    """SHA-256 of the URL as UTF-8, hex. The URL is stripped, and not normalised further."""
    return hashlib.sha256(url.strip().encode("utf-8", "replace")).hexdigest()


def cap(text: str, limit: int) -> str:
    """`text` as valid Unicode (no lone surrogates), of at most `limit` bytes of UTF-8."""
    data = text[:limit].encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")


def has_scheme(text: str) -> bool:
    """Whether `text` is an absolute URL (of any scheme), by its looks."""
    return _SCHEME.match(text) is not None


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON may smuggle in lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
