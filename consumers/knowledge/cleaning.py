"""One text of the web to plain words, or to nothing."""

# ruff: noqa: RUF001 - the characters that look alike are meant
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set

from consumers.knowledge.addresses import without_addresses
from consumers.knowledge.boilerplate import is_noise, without_phrases
from consumers.knowledge.credits import without_credits
from consumers.knowledge.markup import plain
from consumers.knowledge.names import GENERIC, file_words, is_meaningful, is_name, words

_SEPARATOR = re.compile(
    r"(\s*[|¦•·»«›‹\u2758]+\s*|\s+(?:[-–—]{1,3}|[/\\~*:>]{1,2})\s+|\s+[-–—|>:]+$|^[-–—|>:]+\s+)"
)
_LONELY = re.compile(r"\s+([,.;:!?])|\(\s*[,.;:/-]*\s*\)")
_REPEATED = re.compile(r"([,;:|])(?:\s*[,;:|])+|([.!?]{3})[.!?]+|(?<=[!?.])\s*,")
_EDGES = " \t-–—|,;:/*•·~&+=_<>\\^`#"
_DANGLING = re.compile(
    r"(?:\s|^)(?:and|or|by|from|via|at|&|visit|see|source|courtesy|of|with|the)\W*$", re.IGNORECASE
)
_YEAR = re.compile(r"1[0-9]\d\d|20\d\d")
_MANY = 8  # words from which repetition counts as stuffing


def clean(text: str, sites: Set[str] = frozenset()) -> str:
    """What `text` says of a picture, in one line; "" where that is nothing.

    `sites` are the names of the sites that show it, lower case, letters and digits only: a title's
    last part that is one of them is dropped. A file name is its words where it clearly has some.
    """
    text = plain(text)
    named = file_words(text)
    if named is not None:
        said = _tidy(without_phrases(plain(named)))  # percent-decoding may bring anything
        return said if is_meaningful(said) else ""
    bare = without_phrases(without_credits(without_addresses(text)))
    bare = _tidy(_parts(_tidy(bare), sites))
    if len(words(bare)) < len(words(text)):
        bare = _DANGLING.sub("", bare).rstrip(_EDGES)
    useful = is_meaningful(bare) and not is_name(bare) and not is_noise(bare) and not _stuffed(bare)
    return bare if useful else ""


def squashed(text: str) -> str:
    """Letters and digits only, lower case: the way a site's name stands in its host."""
    return re.sub(r"[\W_]+", "", text).casefold()


def _parts(text: str, sites: Set[str]) -> str:
    """Without the parts between separators that are noise, names or repetitions."""
    pieces = _SEPARATOR.split(text)
    if len(pieces) == 1:
        return "" if is_noise(text) else text
    kept = ""
    seen: set[str] = set()
    for place in range(0, len(pieces), 2):
        separator = pieces[place - 1].strip() if place else ""
        part = pieces[place].strip(_EDGES)
        part = part if (named := file_words(part)) is None else plain(named)
        key = squashed(part)
        site = key in sites or key.removeprefix("the") in sites
        useful = is_meaningful(part) and not (site or is_noise(part) or is_name(part))
        if key in seen or not (useful or (kept and _YEAR.fullmatch(part))):
            continue
        seen.add(key)
        kept += f" {separator} {part}" if kept else part
    return kept


def _tidy(text: str) -> str:
    text = _LONELY.sub(lambda m: m[1] or " ", " ".join(text.split()))
    text = _REPEATED.sub(lambda m: m[1] or m[2] or "", " ".join(text.split()))
    text = " ".join(text.split()).strip(_EDGES)
    if text.startswith((". ", "! ", "? ", ")")):
        text = text[1:]
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    return text.strip(_EDGES).rstrip("( ")


def _stuffed(text: str) -> bool:
    found = [w.casefold() for w in words(text)]
    if len(found) < _MANY:
        return False
    most = max((n for w, n in Counter(found).items() if w not in GENERIC), default=0)
    return most >= 0.4 * len(found) or len(set(found)) < 0.4 * len(found)
