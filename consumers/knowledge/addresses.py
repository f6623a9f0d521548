"""What addresses and tracks, and says nothing of the picture: URLs, mails, tags, long numbers."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import re

_TLDS = (
    r"(?:com|net|org|info|io|edu|gov|biz|shop|store|blog|co\.\w\w|com\.\w\w|org\.\w\w"
    r"|de|fr|it|es|nl|pl|ru|cz|se|no|dk|fi|at|ch|be|pt|br|jp|cn|eu|uk|us|ca|au|nz)"
)
_URL = re.compile(
    r"(?:\b(?:from|at|by|on|via|visit|see|source|more)\s*:?\s*)?"
    r"(?:\b[a-z][a-z0-9+.-]{1,10}://\S+|\bwww\.\S+|\b(?:data|javascript|mailto|tel):\S+"
    rf"|\b(?:[a-z0-9-]{{2,40}}\.){{1,4}}{_TLDS}(?:/\S*|\?\S*|\b(?![.\w])))"
    r"(?:\s+for\s(?:more|details|info|prices?|further)\b[^.|]{0,60})?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")
_QUERY = re.compile(r"[?&]?\b(?:utm_\w+|gclid|fbclid|ref|sid|session|src|w|h|q|quality)=\S*", re.I)
_PHONE = re.compile(
    r"(?:\b(?:call|phone|tel|telephone|whatsapp|fax)\b(?:\s(?:us|me|now|today|at|on)\b)*\s*[:.]?\s*)?"
    r"(?:\+\d[\d\s().-]{7,18}\d|(?<![\d-])\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}(?!\d))"
    r"(?:\s+for\s(?:a|more|your|free|details|info)\b[^.|]{0,60})?",
    re.IGNORECASE,
)
_HEX = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b",
    re.IGNORECASE,
)
_ID = re.compile(
    r"(?:\b(?:ID|SKU|REF|item|no|image|photo)\s*[:.#]?\s*)?(?<![\d.,:/-])#?\b\d{7,}\b",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?<!\S)(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9_+/=]{22,}(?!\S)")
_SIZE = re.compile(r"\(?\b\d{3,5}\s?[x×*]\s?\d{3,5}(?:\s?(?:px|pixels?))?\b\)?", re.IGNORECASE)
_MENTION = re.compile(r"(?:\b(?:by|via|from|cc|with)\s*:?\s*)?(?<!\w)@\w[\w.]{1,40}")
_TAG = r"(?<![\w&])#(?!\d+\b)\w{2,60}"
_TAGS = re.compile(rf"{_TAG}(?:[\s,]*{_TAG})+|{_TAG}(?=\W*$)")
_ONE_TAG = re.compile(r"(?<![\w&])#(?=\w)(?!\d+\b)")


def without_addresses(text: str) -> str:
    """Without URLs, mail addresses, phone numbers, query strings, identifiers and pixel sizes.

    Hashtags in a row or at the end go, one within a sentence becomes a word. Mentions go.
    """
    for pattern in (_MAIL, _URL, _QUERY, _PHONE, _HEX, _KEY, _SIZE, _ID, _MENTION, _TAGS):
        text = pattern.sub(" ", text)
    return _ONE_TAG.sub("", text)
