"""Noun phrases for things, as sure as the things are."""

from __future__ import annotations

from engines.captions.compose import places
from engines.captions.compose.arrangement import Item
from engines.captions.compose.grammar import counted, is_plural, listed, plural, singular
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import said


def indefinite(thing: Thing) -> str:
    """The thing as first named: "a cat", "what look like two dogs", "an animal, either ..."."""
    name = _name(thing)
    if thing.certainty is Certainty.LIKELY:
        verb = "look" if is_plural(thing.noun, thing.count) else "looks"
        return f"what {verb} like {name}"
    if thing.certainty is Certainty.POSSIBLE:
        return f"possibly {name}"
    return name


def _name(thing: Thing) -> str:
    if thing.several and not thing.boxes:
        return plural(thing.noun)
    name = counted(thing.noun, thing.count, thing.at_least)
    if thing.holds is not None:
        return f"{name} of {said(thing.holds)}"
    if thing.finer is not None and thing.noun == "landscape":
        return f"{name}, probably with {singular(thing.finer)}"
    if thing.either is not None:
        name += f", either {listed_or(thing.either, thing.count)}"
    return name


def listed_or(nouns: tuple[str, str], count: int) -> str:
    first, second = (plural(noun) if count > 1 else singular(noun) for noun in nouns)
    return f"{first} or {second}"


def definite(thing: Thing) -> str:
    """The thing as named again: "the cat", "the two dogs", "the people"."""
    if thing.count > 5:
        return f"the {plural(thing.noun)}"
    if is_plural(thing.noun, thing.count):
        amount = "" if thing.several or thing.at_least else counted(thing.noun, thing.count)
        return f"the {amount or plural(thing.noun)}"
    return f"the {said(thing.noun)}"


def item_phrase(item: Item) -> str:
    """The thing with what belongs to it and where it is."""
    thing = item.thing
    phrase = indefinite(thing)
    laid = item.on is not None and item.on.noun == "dining table"
    on = f"on {indefinite(_uncounted(item.on, thing))}" if item.on is not None else ""
    if on and not laid:
        phrase += f" {on}"
    if item.having:
        phrase += f" with {listed([indefinite(each) for each in item.having])}"
    comma = "," if thing.either or item.having else ""
    if where := _where(thing):
        phrase += f"{comma} {where}"
    if laid:
        phrase += f", {on}" if where else f" {on}"
    return phrase


def _where(thing: Thing) -> str:
    if not thing.boxes:
        return ""
    return places.group_place(thing.boxes)


def _uncounted(support: Thing, thing: Thing) -> Thing:
    """What several things are on, without its number: "three people on bicycles"."""
    if thing.count == 1 or support.count == 1:
        return support
    return Thing(support.noun, support.certainty, several=True)
