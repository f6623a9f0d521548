"""The classifier's side of the fusion: what the picture as a whole is of.

A softmax over a thousand classes always names something, so only a score well above chance
counts, and of a class and its kinds the finest noun that is certain enough.
"""

from __future__ import annotations

from engines.captions.compose.evidence import Evidence
from engines.captions.compose.knowledge import Mentions
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import FAMILY, chain, counterparts, is_stopgap, word

SURE = 0.8
LIKELY = 0.6
POSSIBLE = 0.5
CONFIRMABLE = 0.15
FINER = 0.65
EXACT = 0.9
# Two classes in five are animals: without a finer noun it takes more to be one.
ANIMAL_SURE = 0.95
ANIMAL_LIKELY = 0.85
MAIN = 0.1  # share of the picture

_VESSELS = {"cup": "drink", "wine glass": "drink", "bowl": "soup"}
# Too vague to be worth a hedge.
_VAGUE = frozenset(
    {"structure", "container", "electronic device", "appliance", "tool", "sports equipment",
     "clothing", "measuring device", "machine", "person", "kitchen tool", "machine part"}
)  # fmt: skip
# Classes in which patterns and blurs of any kind end: not worth a hedge.
_PATTERNS = frozenset(
    {"bubble", "maze", "spotlight", "velvet", "fabric", "envelope", "plectrum", "jigsaw puzzle",
     "puzzle", "window screen", "honeycomb", "crossword", "matchstick", "match", "nematode",
     "worm", "lampshade", "lamp", "spiral", "spider web", "window shade", "shower curtain"}
)  # fmt: skip
_WORN = frozenset({"clothing", "footwear"})
_TEXT_BEARING = frozenset(
    {"sign", "menu", "website", "scoreboard", "book", "book cover", "comic book", "crossword",
     "envelope", "package", "packet", "paper product", "brass memorial plaque"}
)  # fmt: skip


def add_subject(things: list[Thing], evidence: Evidence, mentions: Mentions) -> None:
    """Fuses the classifier's noun into `things`: closer name of one, or a thing of its own."""
    subject = _subject(evidence, mentions)
    if subject is None or _refines(subject, things) or _fills(subject, things):
        return
    if any(thing.noun == "person" for thing in things) and subject.noun in _WORN:
        return
    if subject.noun in _VAGUE | _PATTERNS and subject.certainty is not Certainty.SURE:
        return
    things.append(subject)


def _subject(evidence: Evidence, mentions: Mentions) -> Thing | None:
    scores = evidence.scores
    noun, certainty = _finest(scores, SURE), Certainty.SURE
    if noun is None:
        confirmed = {
            noun: score
            for noun, score in scores.items()
            if score >= CONFIRMABLE and mentions.names(noun)
        }
        noun = _finest(confirmed, CONFIRMABLE)
    if noun is None:
        noun, certainty = _finest(scores, LIKELY), Certainty.LIKELY
        if noun is not None and evidence.lines and _TEXT_BEARING & set(chain(noun)):
            certainty = Certainty.SURE  # it bears text, and text was read
    if noun is None:
        noun, certainty = _finest(scores, POSSIBLE), Certainty.POSSIBLE
    if noun is None:
        return None
    if noun == "animal":
        if scores[noun] < ANIMAL_LIKELY:
            return None
        if scores[noun] < ANIMAL_SURE and not mentions.names(noun):
            certainty = Certainty.LIKELY
    subject = Thing(noun, certainty)
    subject.several = any(mentions.several(name) for name in chain(noun))
    closer = _finest(scores, FINER)
    if certainty is Certainty.SURE and closer is not None and noun in chain(closer)[1:]:
        subject.finer = closer
    return subject


def _finest(scores: dict[str, float], least: float) -> str | None:
    nouns = [
        noun
        for noun, score in scores.items()
        if score >= least and (score >= EXACT or not is_stopgap(noun))
    ]
    return max(nouns, key=lambda noun: (len(chain(noun)), scores[noun], noun), default=None)


def _refines(subject: Thing, things: list[Thing]) -> bool:
    """Whether the subject is one of the things; that thing then takes its closer name."""
    names = chain(subject.noun)
    for thing in things:
        same = {thing.noun, *counterparts(thing.noun), *(thing.either or ())}
        if same & set(names):
            if thing.either is None and not same & {subject.noun}:
                _rename(thing, subject)
            thing.finer = thing.finer or (None if thing.either else subject.finer)
            return True
        if any(subject.noun in chain(noun) for noun in same):
            return True  # coarser than what is known
        kin = FAMILY.get(thing.noun) in names and subject.certainty is not Certainty.SURE
        if kin and thing.area >= MAIN:
            return True  # most likely it, under another name
    return False


def _rename(thing: Thing, subject: Thing) -> None:
    if subject.certainty is Certainty.SURE and thing.count == 1:
        thing.noun, thing.certainty = subject.noun, Certainty.SURE
    elif subject.certainty >= Certainty.LIKELY and thing.certainty is Certainty.SURE:
        thing.finer = subject.noun


def _fills(subject: Thing, things: list[Thing]) -> bool:
    """Whether the subject is what one of the things, a single vessel, holds."""
    for thing in things:
        content = _VESSELS.get(thing.noun)
        names = chain(subject.noun)
        dish = thing.noun == "bowl" and "food" in names and word(subject.noun).mass
        if (content in names or dish) and thing.count == 1:
            if subject.certainty is Certainty.SURE:
                thing.holds = subject.noun
            return subject.certainty is Certainty.SURE
    return False
