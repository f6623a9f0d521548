"""Only what a reader can see: no control, bidirectional, invisible or stacked characters."""

from __future__ import annotations

import re

# Blank or invisible, though Unicode counts them as letters, marks or symbols.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"([{_MARKS}]{{2}})[{_MARKS}]+")
# Persian and Indic words and emoji sequences need their joiners; ASCII text never does.
_JOINER = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def visible(text: str, limit: int = 4000) -> str:
    """`text` in one line, at most `limit` characters, without what cannot be seen.

    Removed are control and format characters (so bidirectional overrides, zero-width characters
    and Unicode tags), lone surrogates, private-use and unassigned code points, variation selectors,
    and all but two of stacked combining marks. White space of any kind becomes one space.
    """
    text = text[: 2 * limit]
    if not (text.isascii() and text.isprintable()):
        text = _INVISIBLE.sub("", text).replace("\u2800", " ")
        text = "".join(_shown(c) for c in text)
        text = _JOINER.sub(lambda m: chr(0xE000 + (m[0] == "\u200d")), text)
        text = text.replace("\u200c", "").replace("\u200d", "")
        text = text.replace("\ue000", "\u200c").replace("\ue001", "\u200d")
        text = _STACKED.sub(r"\1", text)
    return " ".join(text.split())[:limit].rstrip()


def _shown(c: str) -> str:
    if c.isprintable() or c in "\u200c\u200d":
        return c
    return " " if c.isspace() else ""
