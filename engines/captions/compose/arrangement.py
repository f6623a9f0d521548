"""Which things are told together: riders with mounts, people with what they carry, on tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engines.captions.compose import places
from engines.captions.compose.things import Certainty, Thing
from engines.captions.compose.vocabulary import TABLEWARE

_MOUNTS = ("bicycle", "motorcycle", "horse")
_CARRIED = frozenset(
    {"tie", "backpack", "handbag", "umbrella", "suitcase", "skis", "snowboard", "surfboard",
     "skateboard", "tennis racket", "baseball bat", "baseball glove", "cell phone"}
)  # fmt: skip
_TABLE = "dining table"


@dataclass(slots=True)
class Item:
    """A thing and what is told with it: `on` what it is, and what it is shown `having`."""

    thing: Thing
    on: Thing | None = None
    having: list[Thing] = field(default_factory=list)


@dataclass(slots=True)
class Arrangement:
    """Items to list, and what wants a sentence of its own.

    `riders` counts the people on a mount where not all of them are; `laid` are several things on
    a table, taken out of the list.
    """

    items: list[Item]
    riders: tuple[int, Thing] | None = None
    laid: tuple[list[Thing], Thing] | None = None


def arrange(things: Sequence[Thing]) -> Arrangement:
    """Groups the things that geometry and their nature put together."""
    arrangement = Arrangement([Item(thing) for thing in things])
    _seat(arrangement)
    _equip(arrangement)
    _lay(arrangement)
    return arrangement


def _item(arrangement: Arrangement, noun: str) -> Item | None:
    """The item that the detector calls `noun`, whatever closer name it goes by."""
    for item in arrangement.items:
        boxes = item.thing.boxes
        if item.thing.noun == noun or (boxes and boxes[0].label == noun):
            return item
    return None


def _seat(arrangement: Arrangement) -> None:
    people = _item(arrangement, "person")
    if people is None:
        return
    for mount in _MOUNTS:
        item = _item(arrangement, mount)
        if item is None:
            continue
        riders = list(_riders(people.thing, item.thing))
        if not riders:
            continue
        everyone = len(riders) == people.thing.count == item.thing.count
        if everyone and not people.thing.at_least:
            people.on = item.thing
            arrangement.items.remove(item)
        else:
            arrangement.riders = (len(riders), item.thing)
        return


def _riders(people: Thing, mounts: Thing) -> Iterator[int]:
    free = list(mounts.boxes)
    for index, person in enumerate(people.boxes):
        mount = next((box for box in free if places.rides(person, box)), None)
        if mount is not None:
            free.remove(mount)
            yield index


def _equip(arrangement: Arrangement) -> None:
    people = _item(arrangement, "person")
    if people is None or people.thing.count != 1 or not people.thing.boxes:
        return
    person = people.thing.boxes[0]
    for item in list(arrangement.items):
        thing = item.thing
        if (
            thing.noun in _CARRIED
            and thing.certainty >= Certainty.LIKELY
            and thing.count == 1
            and thing.boxes
            and places.carries(person, thing.boxes[0])
            and len(people.having) < 3
        ):
            people.having.append(thing)
            arrangement.items.remove(item)


def _lay(arrangement: Arrangement) -> None:
    table = _item(arrangement, _TABLE)
    if table is None or table.thing.count != 1 or not table.thing.boxes:
        return
    if table.thing.certainty is Certainty.POSSIBLE:
        return
    support = table.thing.boxes[0]
    laid = [
        item
        for item in arrangement.items
        if item.thing.boxes
        and item.thing.boxes[0].label in TABLEWARE
        and item.thing.certainty is Certainty.SURE
        and all(places.rests_on(box, support) for box in item.thing.boxes)
    ]
    if len(laid) == 1:
        laid[0].on = table.thing
        arrangement.items.remove(table)
    elif laid:
        arrangement.laid = ([item.thing for item in laid], table.thing)
        for item in laid:
            arrangement.items.remove(item)
