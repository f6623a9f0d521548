"""What is known about nouns: their kinds, which are mass or plural, and their everyday names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LABELS = Path(__file__).parents[2] / "labels" / "imagenet.json"

# The classifier's nouns (classes or kinds) that stand for the same thing as a detector's class.
SAME: Mapping[str, tuple[str, ...]] = {
    "person": ("person",),
    "motorcycle": ("motorbike",),
    "boat": ("boat", "ship", "watercraft"),
    "cow": ("cow", "ox", "water buffalo", "bison"),
    "sheep": ("sheep", "wild goat"),
    "handbag": ("bag",),
    "sports ball": ("ball",),
    "wine glass": ("glass", "goblet"),
    "cup": ("cup", "coffee mug"),
    "knife": ("knife", "letter opener", "cleaver"),
    "potted plant": ("flowerpot",),
    "dining table": ("table",),
    "toilet": ("toilet seat",),
    "tv": ("television", "screen"),
    "laptop": ("laptop",),
    "mouse": ("computer mouse",),
    "remote": ("remote control",),
    "cell phone": ("phone", "mobile phone"),
    "microwave": ("microwave oven",),
    "oven": ("stove", "microwave oven"),
    "clock": ("clock",),
    "hair drier": ("hair dryer",),
    "tennis racket": ("racket",),
    "skis": ("ski",),
}

# Nouns that are another thing, but speak for the detector's class: what it holds or is made of.
HINTS: Mapping[str, tuple[str, ...]] = {
    "person": ("clothing", "helmet", "uniform"),
    "wine glass": ("wine", "drink"),
    "cup": ("coffee", "drink"),
    "bottle": ("wine",),
    "bowl": ("soup", "food"),
    **dict.fromkeys(
        ["banana", "apple", "sandwich", "orange", "broccoli", "carrot", "pizza", "donut", "cake"],
        ("food",),
    ),
    "hot dog": ("fast food",),
    "potted plant": ("plant",),
    "car": ("car part", "wheel"),
    "truck": ("car part", "wheel"),
    "bicycle": ("wheel", "disc brake"),
    "motorcycle": ("wheel", "disc brake"),
    "airplane": ("airplane wing", "aircraft"),
    "boat": ("dock", "paddle"),
    "dog": ("dog sled",),
    "horse": ("horse-drawn cart",),
    "cow": ("bullock cart",),
    "laptop": ("computer", "keyboard", "screen"),
    "keyboard": ("computer", "laptop"),
    "tv": ("home theater", "entertainment center"),
    **dict.fromkeys(
        ["microwave", "oven", "toaster", "sink", "refrigerator"], ("kitchen appliance",)
    ),
}

# Detector classes that are easily taken for one another, under the noun that is true of all.
FAMILY: Mapping[str, str] = {
    **dict.fromkeys(
        ["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"],
        "animal",
    ),
    **dict.fromkeys(
        ["bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"], "vehicle"
    ),
}

# What stands on tables.
TABLEWARE = frozenset(
    {"bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
     "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "vase",
     "laptop", "book"}
)  # fmt: skip

# How a label is said where its own wording would be odd, or claim too much: the detector calls
# every table a dining table.
SAID: Mapping[str, str] = {
    "dining table": "table",
    "tv": "television",
    "mouse": "computer mouse",
    "remote": "remote control",
    "cell phone": "mobile phone",
    "hair drier": "hair dryer",
    "sports ball": "ball",
    "missile": "rocket or missile",
    "projectile": "rocket or projectile",
}

SYNONYMS: Mapping[str, str] = {
    word: noun
    for noun, words in {
        "person": "man woman boy girl child kid baby lady guy gentleman adult player rider actor "
        "actress astronaut officer soldier sailor worker singer dancer athlete crowd bride groom "
        "cyclist motorcyclist skier surfer passenger pedestrian cameraman photographer",
        "motorcycle": "motorbike motorcyclist scooter moped",
        "bicycle": "bike cyclist cycling",
        "airplane": "plane aeroplane aircraft jet airliner",
        "car": "automobile sedan taxi convertible",
        "truck": "lorry",
        "boat": "ship sailboat ferry canoe yacht",
        "couch": "sofa settee",
        "tv": "television telly",
        "cell phone": "phone smartphone mobile",
        "dog": "puppy hound",
        "cat": "kitten kitty",
        "cow": "cattle bull calf ox",
        "horse": "pony foal mare stallion",
        "sheep": "lamb",
        "donut": "doughnut",
        "cup": "mug teacup",
        "coffee": "cappuccino latte",
        "refrigerator": "fridge",
        "potted plant": "houseplant",
        "dining table": "table desk",
        "building": "temple house tower pagoda skyscraper cottage villa mansion chapel cathedral",
        "flower": "blossom bloom dahlia rose tulip orchid sunflower marigold chrysanthemum",
        "mountain": "peak summit",
        "sign": "signpost signboard",
        "bird": "nuthatch sparrow pigeon gull seagull duck goose parrot owl",
        "rocket": "spacecraft launcher launchpad liftoff",
    }.items()
    for word in words.split()
}


@dataclass(slots=True, frozen=True)
class Word:
    """A noun of the classifier. `kinds` run from the nearest to the coarsest."""

    kinds: tuple[str, ...] = ()
    mass: bool = False
    plural: bool = False


_FEW = 3
UNKNOWN = Word()
# Plural or mass nouns that are no class of the classifier but kinds, or the detector's.
_OWN = {
    "skis": Word(plural=True),
    "scissors": Word(plural=True),
    **dict.fromkeys(
        [
            "clothing",
            "food",
            "furniture",
            "footwear",
            "jewelry",
            "armor",
            "fabric",
            "coral",
            "bread",
            "pasta",
            "soup",
            "wine",
            "coffee",
            "broccoli",
        ],
        Word(mass=True),
    ),
}


@cache
def vocabulary() -> Mapping[str, Word]:
    """Every class and kind by its noun, read once.

    Raises:
        OSError, ValueError: the label file is missing or broken.
    """
    words = {
        entry["label"]: Word(
            tuple(entry.get("kinds", ())),
            bool(entry.get("mass")),
            bool(entry.get("plural")),
        )
        for entry in json.loads(LABELS.read_text("utf-8"))
    }
    for label in list(words):
        kinds = words[label].kinds
        for rank, kind in enumerate(kinds):
            words.setdefault(kind, Word(kinds[rank + 1 :]))
    for noun, own in _OWN.items():
        known = words.get(noun, UNKNOWN)
        words[noun] = Word(known.kinds, own.mass, own.plural)
    return words


def word(noun: str) -> Word:
    return vocabulary().get(noun, UNKNOWN)


def chain(noun: str) -> tuple[str, ...]:
    """The noun and its kinds, from the finest to the coarsest, each once."""
    return tuple(dict.fromkeys((noun, *word(noun).kinds)))


@cache
def _members() -> Mapping[str, int]:
    """How many classes each kind has."""
    members: dict[str, int] = {}
    for entry in json.loads(LABELS.read_text("utf-8")):
        for kind in entry.get("kinds", ())[:1]:
            members[kind] = members.get(kind, 0) + 1
    return members


def is_stopgap(noun: str) -> bool:
    """Whether a class is one of so few of its kind that the others' pictures end in it.

    The only flowers of ImageNet are a daisy and an orchid, so "daisy" means a flower.
    """
    kinds = word(noun).kinds
    if noun in SAID:
        return False  # its wording allows for that
    members = _members()
    return bool(kinds) and noun not in members and 0 < members.get(kinds[0], 0) <= _FEW


def counterparts(label: str) -> tuple[str, ...]:
    """The classifier's nouns for a detector's class."""
    return SAME.get(label, (label,))


def said(noun: str) -> str:
    return SAID.get(noun, noun)
