"""Quoting what others wrote: cleaned of markup and control characters, capped, in “ ”."""

from __future__ import annotations

import html
import re
import unicodedata

_MAX_READ = 2000  # characters looked at; more is never quoted
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,300}>")
# ASCII escapes, as the signs look like others: single quotes, and single angle quotes for < >.
_OPEN, _CLOSE, _LESS, _MORE = "\u2018", "\u2019", "\u2039", "\u203a"
_INNER = str.maketrans(
    {"“": _OPEN, "”": _CLOSE, "„": _OPEN, '"': _CLOSE, "`": _CLOSE, "<": _LESS, ">": _MORE}
)


def clean(text: object) -> str:
    """One line of printable text without markup; "" for anything that is not text.

    Control, invisible and direction-changing characters go, so that what a caption quotes cannot
    change how the caption around it is shown; double quotes become single.
    """
    if not isinstance(text, str):
        return ""
    text = _TAG.sub(" ", html.unescape(text[:_MAX_READ]))
    text = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    text = re.sub(r'(^|[\s(\[])"', rf"\1{_OPEN}", text)
    return " ".join(text.translate(_INNER).split())


def capped(text: str, most: int) -> str:
    """At most `most` characters, cut between words where it can be, with an ellipsis."""
    if len(text) <= most:
        return text
    cut = text[: most - 2]
    if " " in cut[most // 2 :]:
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip(" .,;:-/") + " …"


def quoted(text: str) -> str:
    return f"“{text}”"
