"""What is said beside the picture: which of it the experts bear out, and may be quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from engines.captions.compose.evidence import Line, Statement
from engines.captions.compose.grammar import plural
from engines.captions.compose.quotes import capped, quoted
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import SYNONYMS, chain, counterparts, said, vocabulary

_MAX_QUOTED = 200
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|heic|tiff?|bmp|svg)\b|https?:|www\.", re.I)
_SEPARATOR = re.compile(r"\s+[|»·•\u2013\u2014-]\s+|\s*\|\s*")
_BAD_SOURCE = re.compile(
    r"date|time|gps|location|city|country|state|creator|artist|author|byline|credit|copyright|"
    r"rights|keyword|subject|software|make|model|url",
    re.I,
)
_IRREGULAR = {
    "men": "man", "women": "woman", "people": "person", "persons": "person", "children": "child",
    "mice": "mouse", "geese": "goose", "wolves": "wolf", "knives": "knife", "calves": "calf",
    "leaves": "leaf", "shelves": "shelf", "loaves": "loaf", "oxen": "ox", "feet": "foot",
    "bus": "bus", "glass": "glass", "dress": "dress", "scissors": "scissors", "skis": "skis",
    "jeans": "jeans", "cactus": "cactus", "compass": "compass", "octopus": "octopus",
}  # fmt: skip
_STOP = frozenset(
    [
        "this",
        "that",
        "with",
        "from",
        "have",
        "more",
        "into",
        "over",
        "your",
        "some",
        "what",
        "when",
        "where",
        "which",
        "about",
        "image",
        "photo",
        "picture",
        "page",
        "free",
        "download",
        "stock",
    ]
)


class Mentions:
    """The nouns that occur in statements, in singular, by synonym, and as compounds."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self._names: set[str] = set()
        self._plurals: set[str] = set()
        for statement in statements:
            words = _words(statement.text)
            # A page on "wall clocks" may show one.
            counts = not _is_title(statement)
            for size in (1, 2, 3, 4):
                for start in range(len(words) - size + 1):
                    self._add(words[start : start + size], counts)

    def _add(self, words: Sequence[str], counts: bool) -> None:
        last = _singular(words[-1])
        name = "".join((*words[:-1], last))
        self._names.add(name)
        if synonym := SYNONYMS.get(name):
            self._names.add(_compact(synonym))
        if counts and last != words[-1]:
            self._plurals.add("".join(words))

    def names(self, noun: str) -> bool:
        """Whether `noun` is mentioned."""
        return _compact(noun) in self._names or _compact(said(noun)) in self._names

    def concrete(self) -> bool:
        """Whether any noun that an expert could have found is mentioned."""
        return not self._names.isdisjoint(_all_nouns())

    def several(self, noun: str) -> bool:
        """Whether `noun` is mentioned in the plural."""
        return _compact(plural(noun)) in self._plurals


@cache
def _all_nouns() -> frozenset[str]:
    return frozenset(_compact(noun) for noun in vocabulary())


def usable(statements: Iterable[Statement]) -> list[Statement]:
    """Statements that might describe the picture: no file names, dates, places or credits."""
    return [
        statement
        for statement in statements
        if not _FILE.search(statement.text)
        and not _BAD_SOURCE.search(statement.source.rpartition(":")[2])
        and len(_words(statement.text)) >= 2
    ]


def attributed(
    statements: Sequence[Statement], things: Sequence[Thing], lines: Sequence[Line]
) -> str:
    """A sentence that quotes the statement best borne out by things and text, or ""."""
    known = [thing for thing in things if thing.certainty >= Certainty.LIKELY]
    read = {word for line in lines for word in _words(line.text)}
    best: tuple[int, str, str] | None = None
    for statement in sorted(statements, key=_is_title):
        for part in _SEPARATOR.split(statement.text):
            score = _borne_out(part, known, set() if _is_title(statement) else read)
            if score and (best is None or score > best[0]):
                best = (score, part, statement.source)
    if best is None:
        return ""
    _, text, source = best
    quote = quoted(capped(text.strip(" .,;:"), _MAX_QUOTED))
    if source.startswith("page"):
        return f"The page it comes from is headed {quote}."
    if len(_words(text)) <= 3:
        return f"The accompanying text calls it {quote}."
    return f"The accompanying text describes it as {quote}."


def _is_title(statement: Statement) -> bool:
    """The page's heading speaks of the page, and of the picture only perhaps."""
    return statement.source.startswith("page")


def _borne_out(text: str, things: Sequence[Thing], read: set[str]) -> int:
    """How many things and read words the text names; 0 where it adds nothing to either."""
    words = _words(text)
    if len(words) < 2 or all(word in read for word in words):
        return 0
    mentions = Mentions([Statement(text, "")])
    named = sum(
        any(
            mentions.names(name)
            for noun in {thing.noun, thing.finer or thing.noun, thing.holds or thing.noun}
            for name in (*chain(noun), *counterparts(noun))
        )
        for thing in things
    )
    return 2 * named + len({w for w in words if len(w) > 3 and w not in _STOP} & read)


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold().replace("-", " ")))[:80]


def _compact(noun: str) -> str:
    return noun.casefold().replace(" ", "").replace("-", "")


@lru_cache(maxsize=8192)
def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1]
