"""English: articles, plurals, numbers, lists, sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import inflect

from engines.captions.compose.vocabulary import said, word

_inflect = inflect.engine()
_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_EXACT = 5  # detectors lose members of larger groups
_PAIRS = frozenset({"scissors", "jeans", "sunglasses", "swim trunks", "skis", "parallel bars"})


@lru_cache(maxsize=4096)
def plural(noun: str) -> str:
    """`noun` in the plural: "people", "glasses of wine"."""
    name = said(noun)
    if word(noun).plural or word(noun).mass:
        return name
    if " or " in name:
        return " or ".join(str(_inflect.plural_noun(each)) for each in name.split(" or "))
    if " and " in name:
        first, rest = name.rsplit(" ", 1)
        return f"{first} {_inflect.plural_noun(rest)}"
    return str(_inflect.plural_noun(name)) or name


@lru_cache(maxsize=4096)
def singular(noun: str) -> str:
    """`noun` with the article it needs: "an hour", "guacamole", "a pair of jeans"."""
    name = said(noun)
    known = word(noun)
    if known.mass:
        return name
    if known.plural:
        return f"a pair of {name}" if noun in _PAIRS else name
    return str(_inflect.a(name))


def number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def counted(noun: str, count: int, at_least: bool = False) -> str:
    """`noun` with its count: "a cat", "two people", "at least seven cars"."""
    if count <= 1:
        return f"at least one {said(noun)}" if at_least else singular(noun)
    floor = at_least or count > _EXACT
    amount = f"at least {number(count)}" if floor else number(count)
    if noun in _PAIRS:
        return f"{amount} pairs of {said(noun)}"
    if noun == "person" and count > len(_NUMBERS):
        return f"a crowd of {amount} people"
    return f"{amount} {plural(noun)}"


def is_plural(noun: str, count: int) -> bool:
    """Whether the noun phrase of `counted` takes a verb in the plural."""
    return count > 1 or (word(noun).plural and noun not in _PAIRS)


def listed(items: Sequence[str]) -> str:
    """Items as "a, b and c"; with semicolons where one has a comma of its own."""
    if len(items) <= 1:
        return "".join(items)
    if any("," in item for item in items):
        return "; ".join(items[:-1]) + f"; and {items[-1]}"
    return ", ".join(items[:-1]) + f" and {items[-1]}"


def sentence(text: str) -> str:
    """One sentence: single spaces, a capital first, a full stop last."""
    text = re.sub(r"\s+", " ", text).strip().rstrip(".,;: ")
    return text[:1].upper() + text[1:] + "."
