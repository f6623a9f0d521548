"""The caption engine that needs no model: sentences from the priors alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from engines.captions.compose import phrases, places, text
from engines.captions.compose.arrangement import Arrangement, Item, arrange
from engines.captions.compose.evidence import Evidence, read
from engines.captions.compose.facts import fuse
from engines.captions.compose.grammar import is_plural, listed, number, plural, sentence, singular
from engines.captions.compose.knowledge import Mentions, attributed, usable
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import vocabulary
from engines.captions.engine import Captioned, CaptionTask

_LEADING = 4
_FURTHER = 6
_DOUBTED = 3
_DOMINANT = 0.42  # share of the picture
_NEARLY_ALL = 0.6  # from here on, where it is says nothing


class Compose:
    """Writes captions from the priors by rules: the same priors give the same words.

    It reads the findings of detection, tagging, ocr and knowledge; any of them may be missing.
    """

    name = "compose"
    saw_image = False

    async def open(self) -> None:
        """Raises OSError or ValueError where the label file is missing or broken."""
        vocabulary()

    async def close(self) -> None:
        """Nothing to let go."""

    async def caption(self, task: CaptionTask) -> Captioned:
        """Never refuses: an image of which nothing is known gets a caption that says so."""
        start = time.perf_counter()
        caption = compose(read(task.image, task.priors))
        return Captioned(caption, time.perf_counter() - start)


def compose(evidence: Evidence) -> str:
    """The caption: what is there, how it stands, what may be there, text, and what was said."""
    statements = usable(evidence.statements)
    page = text.is_page(evidence.lines)
    things = fuse(evidence, Mentions(statements), page)
    doubted = [thing for thing in things if thing.certainty is Certainty.POSSIBLE]
    firm = [thing for thing in things if thing.certainty >= Certainty.LIKELY]
    arrangement = arrange(firm)
    sentences = [
        *_opening(arrangement, doubted, evidence, page),
        *_closer(firm),
        *_relations(arrangement),
        f"There may also be {_named(doubted)}" if doubted and firm else "",
        *([] if page else text.describe(evidence.lines, evidence.height)),
        attributed(statements, things, evidence.lines),
    ]
    told = [each for each in sentences if each]
    if len(told) == 1 and firm and not page and (shape := _shape(evidence)):
        told = _with_shape(told[0], shape)
    return " ".join(sentence(each) for each in told)


def _opening(
    arrangement: Arrangement, doubted: list[Thing], evidence: Evidence, page: bool
) -> Iterator[str]:
    items = _ordered(arrangement.items)
    also = False
    if page:
        yield text.describe_page(evidence.lines)
        also = True
    elif not items:
        yield _nothing(evidence, doubted)
    elif dominant := _dominant(items[0], lone=len(items) == 1):
        yield dominant
        items = items[1:]
        also = True
    leading, further = items[:_LEADING], items[_LEADING : _LEADING + _FURTHER]
    if leading:
        shows = f"There {_verb(leading[0].thing)} also" if also else "The picture shows"
        yield f"{shows} {listed([phrases.item_phrase(item) for item in leading])}"
    if further:
        names = listed([phrases.indefinite(item.thing) for item in further])
        yield f"There {_verb(further[0].thing)} also {names}"


def _verb(thing: Thing) -> str:
    return "are" if is_plural(thing.noun, thing.count) else "is"


def _ordered(items: list[Item]) -> list[Item]:
    """What has a place first, so that a place is never read into the thing without one."""
    return sorted(items, key=lambda item: not item.thing.boxes)


def _dominant(item: Item, lone: bool) -> str:
    """What takes up how much of the picture, or "" for a thing that is not of that size."""
    thing = item.thing
    if thing.count != 1 or not thing.boxes:
        return ""
    share = places.share(thing.boxes[0])
    if not share or not (lone or thing.area >= _DOMINANT):
        return ""
    phrase = phrases.item_phrase(Item(replace(thing, boxes=[]), item.on, item.having))
    if thing.finer is not None:
        phrase += f", probably {singular(thing.finer)},"
        thing.finer = None  # told
    elif thing.either:
        phrase += ","
    where = places.place(thing.boxes[0]) if thing.area < _NEARLY_ALL else "in the centre"
    where = "" if where == "in the centre" else f", {where}"
    return f"{phrase} {'take' if is_plural(thing.noun, 1) else 'takes'} up {share}{where}"


def _nothing(evidence: Evidence, doubted: list[Thing]) -> str:
    shape = _shape(evidence)
    subject = "A square picture" if shape == "square" else f"A picture {shape}"
    if doubted:
        return f"{subject} that may show {_named(doubted)}"
    if evidence.lines:
        return f"{subject} with text"
    return f"{subject} in which nothing was recognised with confidence"


def _with_shape(told: str, shape: str) -> list[str]:
    if told.endswith("the picture"):
        return [f"{told}, which is {shape}"]
    return [told, f"{'It' if told.startswith('The picture') else 'The picture'} is {shape}"]


def _shape(evidence: Evidence) -> str:
    if min(evidence.width, evidence.height) <= 0:
        return ""
    ratio = evidence.width / evidence.height
    if 0.97 <= ratio <= 1.03:
        return "square"
    return "in landscape format" if ratio > 1 else "in portrait format"


def _closer(things: list[Thing]) -> Iterator[str]:
    for thing in things:
        if thing.finer is None or thing.noun == "landscape":
            continue
        if thing.boxes and thing.count > 1:
            yield f"One of the {plural(thing.noun)} is probably {singular(thing.finer)}"
        elif thing.count == 1:
            yield f"{phrases.definite(thing)} is probably {singular(thing.finer)}"


def _relations(arrangement: Arrangement) -> Iterator[str]:
    if arrangement.riders is not None:
        count, mount = arrangement.riders
        verb = "is" if count == 1 else "are"
        name = singular(mount.noun) if count == 1 else phrases.indefinite(mount)
        yield f"{number(count)} of the people {verb} on {name}"
    if arrangement.laid is not None:
        laid, table = arrangement.laid
        names = listed([phrases.indefinite(thing) for thing in laid])
        yield f"On {phrases.definite(table)} there {_verb(laid[0])} {names}"
    yield from _neighbours(arrangement.items[:_LEADING])


def _neighbours(items: list[Item]) -> Iterator[str]:
    """One sentence on two single things that are close to each other."""
    single = [
        item.thing
        for item in items
        if item.thing.count == 1 and item.thing.boxes and item.thing.certainty is Certainty.SURE
    ]
    for index, thing in enumerate(single):
        for other in single[index + 1 :]:
            if how := places.relation(thing.boxes[0], other.boxes[0]):
                yield f"{phrases.definite(thing)} {_verb(thing)} {how} {phrases.definite(other)}"
                return


def _named(doubted: list[Thing]) -> str:
    bare = [replace(thing, certainty=Certainty.SURE) for thing in doubted[:_DOUBTED]]
    return listed([phrases.item_phrase(Item(thing)) for thing in bare])
