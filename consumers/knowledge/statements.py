"""A few bounded statements, none of which says what another says."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypedDict

MAX_STATEMENTS = 8
MAX_CHARS = 300

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]?(?=\s)|[。！？]")
_WORD_END = re.compile(r"\s+")


class Statement(TypedDict):
    """One statement and where it was said, as in ``schemas/findings/knowledge.avsc``."""

    text: str
    source: str


def cut(text: str, limit: int = MAX_CHARS) -> str:
    """At most `limit` characters: whole sentences if they fill half of it, else whole words."""
    if len(text) <= limit:
        return text
    ends = [m.end() for m in _SENTENCE_END.finditer(text, 0, limit + 1) if m.end() <= limit]
    if ends and ends[-1] >= limit // 2:
        return text[: ends[-1]]
    spaces = [m.start() for m in _WORD_END.finditer(text, 0, limit)]
    end = spaces[-1] if spaces and spaces[-1] >= limit // 2 else limit - 1
    return text[:end].rstrip(" ,;:-–—|(") + "…"


def merge(candidates: Iterable[Statement], most: int = MAX_STATEMENTS) -> list[Statement]:
    """The first `most` statements, each cut; of two where one contains the other, the fuller.

    The fuller one takes the place of the first that it contains.
    """
    kept: list[tuple[str, Statement]] = []
    for candidate in candidates:
        text = cut(candidate["text"])
        key = _key(text)
        if not key or any(_contains(other, key) for other, _ in kept):
            continue
        contained = [place for place, (other, _) in enumerate(kept) if _contains(key, other)]
        said = (key, Statement(text=text, source=candidate["source"]))
        if contained:
            kept[contained[0]] = said
            for place in reversed(contained[1:]):
                del kept[place]
        else:
            kept.append(said)
    return [statement for _, statement in kept[:most]]


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _contains(whole: str, part: str) -> bool:
    if f" {part} " in f" {whole} ":
        return True
    # Scripts without spaces have no word borders to respect.
    if not part.isascii() and " " not in part and len(part) >= 2 and part in whole:
        return not any(c.isascii() for c in part)
    return sorted(part.split()) == sorted(whole.split())
