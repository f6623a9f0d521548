"""Fusion: from what single experts say to things, each with a certainty.

A classifier and a detector that agree make a thing sure; where they contradict each other the
noun that is true of both is kept, or the thing is hedged. What is said beside the picture
(alternative text) can confirm what an expert saw, never add to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from engines.captions.compose.evidence import Box, Evidence
from engines.captions.compose.knowledge import Mentions
from engines.captions.compose.places import rests_on
from engines.captions.compose.subject import add_subject
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import (
    FAMILY,
    HINTS,
    SAME,
    TABLEWARE,
    chain,
    counterparts,
    vocabulary,
)

SURE = 0.8
LIKELY = 0.65
POSSIBLE = 0.5
UNBACKED = 0.7
AGREES = 0.3  # of the classifier, beside a detection
DISSENTS = 0.1
_BIG = 0.4  # share of the picture
_BACKGROUND = frozenset({"dining table", "bed", "couch", "bench"})
_SHAPES = frozenset({"kite", "frisbee"})
_PERSON_EASE = 0.1  # people are what such detectors were trained on most


def fuse(evidence: Evidence, mentions: Mentions, page: bool) -> list[Thing]:
    """The things to speak of, the most important first.

    Args:
        mentions: the nouns that occur in what is said beside the picture.
        page: whether the picture is mainly text; then only what is sure counts.
    """
    detected = _classes(evidence.boxes)
    things: dict[str, Thing] = {}
    for label, boxes in detected.items():
        thing = _thing(label, boxes, evidence, mentions)
        if thing is None:
            continue
        thing = _settled(thing, evidence, mentions, set(detected))
        if not _tenable(thing, evidence, mentions):
            continue
        if thing.noun in things:
            things[thing.noun].boxes += thing.boxes
        else:
            things[thing.noun] = thing
    found = list(things.values())
    _doubt_shapes(found, mentions)
    _bear_out_table(found)
    add_subject(found, evidence, mentions)
    if page:
        found = [thing for thing in found if thing.certainty is Certainty.SURE]
    return sorted(found, key=lambda thing: (-thing.certainty, -thing.area, thing.noun))


def _classes(boxes: Iterable[Box]) -> dict[str, list[Box]]:
    """Boxes by class, best first, without duplicates within a class or across classes."""
    kept: list[Box] = []
    for box in boxes:
        if box.score >= 0.4 and not any(_duplicates(box, better) for better in kept):
            kept.append(box)
    classes: dict[str, list[Box]] = defaultdict(list)
    for box in kept:
        classes[box.label].append(box)
    return dict(classes)


def _duplicates(box: Box, better: Box) -> bool:
    if box.x1 <= better.x0 or better.x1 <= box.x0 or box.y1 <= better.y0 or better.y1 <= box.y0:
        return False
    overlap = box.iou(better)
    if box.label != better.label:
        return overlap > 0.75
    return overlap > 0.5 or max(box.inside(better), better.inside(box)) > 0.85


def support(label: str, evidence: Evidence) -> float:
    """The classifier's score for what the detector calls `label`."""
    nouns = (*counterparts(label), *HINTS.get(label, ()))
    return max((evidence.scores.get(noun, 0.0) for noun in nouns), default=0.0)


def _thing(label: str, boxes: list[Box], evidence: Evidence, mentions: Mentions) -> Thing | None:
    best = boxes[0].score
    backing = support(label, evidence)
    confirmed = backing >= AGREES or mentions.names(label)
    if best < POSSIBLE and not (mentions.names(label) and backing >= AGREES):
        return None
    spared = label in _BACKGROUND or label in FAMILY or label == "person"
    if best < UNBACKED and not confirmed and not spared:
        return None  # a doubtful box that nothing else speaks for is wrong too often to name
    floor = POSSIBLE if confirmed else 0.6
    counted = [box for box in boxes if box.score >= floor] or boxes[:1]
    thing = Thing(label, _certainty(label, best, confirmed), counted)
    thing.at_least = 1 < len(counted) < len(boxes)
    if len(counted) == 1:
        thing.at_least = thing.certainty is Certainty.SURE and mentions.several(label)
    return thing


def _tenable(thing: Thing, evidence: Evidence, mentions: Mentions) -> bool:
    """Whether a thing is worth a word after all; may lower its certainty.

    What is big the classifier would have seen, and a description would have named.
    """
    background = thing.noun in _BACKGROUND
    if thing.area >= _BIG and not background and thing.noun != "person":
        score = thing.boxes[0].score
        backed = support(thing.noun, evidence) >= DISSENTS or mentions.names(thing.noun)
        if thing.noun in FAMILY.values():
            return True
        if _known_to_classifier(thing.noun) and not backed:
            disputed = max(evidence.scores.values(), default=0.0) >= 0.5
            if score < (0.9 if disputed else SURE):
                return False
            thing.certainty = min(thing.certainty, Certainty.LIKELY)
        elif thing.certainty is not Certainty.SURE and not backed:
            if thing.certainty is Certainty.POSSIBLE or mentions.concrete():
                return False
            thing.certainty = Certainty.POSSIBLE
    if thing.certainty is not Certainty.POSSIBLE or background:
        return True
    return not _sure_of_another(thing.noun, evidence)


def _doubt_shapes(things: list[Thing], mentions: Mentions) -> None:
    """Any bright shape on plain ground is a kite to a detector; with people it may well be one."""
    sure = {thing.noun for thing in things if thing.certainty is Certainty.SURE}
    for thing in things:
        if thing.noun in _SHAPES and "person" not in sure and not mentions.names(thing.noun):
            thing.certainty = min(thing.certainty, Certainty.LIKELY)


def _bear_out_table(things: list[Thing]) -> None:
    """A doubtful table is likely where sure tableware stands on it."""
    for table in things:
        if table.noun == "dining table" and table.certainty is Certainty.POSSIBLE:
            laid = (
                rests_on(box, table.boxes[0])
                for thing in things
                if thing.certainty is Certainty.SURE and thing.noun in TABLEWARE
                for box in thing.boxes
            )
            if any(laid):
                table.certainty = Certainty.LIKELY


def _known_to_classifier(label: str) -> bool:
    return any(noun in vocabulary() for noun in counterparts(label))


def _certainty(label: str, score: float, confirmed: bool) -> Certainty:
    ease = _PERSON_EASE if label == "person" else 0.0
    if confirmed or score >= SURE - ease:
        return Certainty.SURE
    return Certainty.LIKELY if score >= LIKELY - ease else Certainty.POSSIBLE


def _sure_of_another(label: str, evidence: Evidence) -> bool:
    if not evidence.tags:
        return False
    top = evidence.tags[0]
    return evidence.scores[top] >= 0.9 and not set(counterparts(label)) & set(chain(top))


def _settled(thing: Thing, evidence: Evidence, mentions: Mentions, detected: set[str]) -> Thing:
    """The thing as it is, or under a noun that the classifier's contradiction leaves true.

    The classifier speaks of the main thing only: small boxes are no matter of dispute, nor is a
    picture in which the detector saw the classifier's thing as well.
    """
    label = thing.noun
    family = FAMILY.get(label)
    if family is None or evidence.scores.get(family, 0.0) < 0.5 or thing.area < 0.1:
        return thing
    if mentions.names(label) or support(label, evidence) >= DISSENTS:
        return thing
    kin = {other for other in detected - {label} if FAMILY.get(other) == family}
    if any(support(other, evidence) >= DISSENTS for other in kin):
        return thing
    rival = _rival(family, evidence)
    if rival is None:
        if thing.boxes[0].score >= 0.9:
            thing.certainty = Certainty.LIKELY
        else:
            thing.noun = family
    elif _detectable(rival, family):
        thing.noun, thing.either = family, (label, _below(family, rival))
    elif thing.count == 1:
        thing.noun, thing.certainty = rival, Certainty.LIKELY
    else:
        thing.noun = family
    if thing.noun == family:
        thing.certainty = Certainty.SURE  # on this both agree
    return thing


def _rival(family: str, evidence: Evidence) -> str | None:
    """The classifier's own finest sure noun below `family`."""
    nouns = [
        noun
        for noun, score in evidence.scores.items()
        if score >= SURE and family in chain(noun)[1:]
    ]
    return max(nouns, key=lambda noun: (len(chain(noun)), noun), default=None)


def _below(family: str, noun: str) -> str:
    """The coarsest noun for `noun` that is still finer than `family`."""
    names = chain(noun)
    return names[names.index(family) - 1]


def _detectable(noun: str, family: str) -> bool:
    """Whether the detector has a class for it, and so a contradiction of equals."""
    names = set(chain(noun))
    return any(
        names & set(SAME.get(label, (label,))) for label, kin in FAMILY.items() if kin == family
    )
