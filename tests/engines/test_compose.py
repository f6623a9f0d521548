"""Captions by rules: what real-looking priors must, and must not, be made to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from engines.captions import CaptionTask
from engines.captions.compose import Compose
from engines.captions.compose.compose import compose
from engines.captions.compose.evidence import read
from engines.captions.compose.grammar import counted, listed, plural, sentence, singular
from engines.captions.compose.quotes import capped, clean

BoxRow = tuple[str, float, float, float, float, float]
LineRow = tuple[str, float, float, float, float, float]


@dataclass
class Case:
    """Priors in short, and what the caption has to contain, or must not."""

    name: str
    says: Sequence[str] = ()
    hides: Sequence[str] = ()
    boxes: Sequence[BoxRow] = ()
    tags: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)
    lines: Sequence[LineRow] = ()
    statements: Sequence[tuple[str, str]] = ()
    alt: str | None = None
    size: tuple[int, int] = (800, 600)


def priors(case: Case) -> dict[str, dict[str, Any]]:
    sides = ("label", "score", "x0", "y0", "x1", "y1")
    return {
        "detection": ok({"boxes": [dict(zip(sides, box, strict=True)) for box in case.boxes]}),
        "tagging": ok({"tags": scored(case.tags), "kinds": scored(case.kinds)}),
        "ocr": ok(
            {
                "lines": [
                    {"text": text, "score": score, "polygon": [x0, y0, x1, y0, x1, y1, x0, y1]}
                    for text, score, x0, y0, x1, y1 in case.lines
                ]
            }
        ),
        "knowledge": ok(
            {"statements": [{"text": text, "source": source} for text, source in case.statements]}
        ),
    }


def ok(findings: dict[str, Any]) -> dict[str, Any]:
    return {"status": "ok", "findings": findings}


def scored(scores: dict[str, float]) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


def caption(case: Case) -> str:
    image = {"width": case.size[0], "height": case.size[1], "alt_text": case.alt}
    return compose(read(image, priors(case)))


CAT = ("cat", 0.94, 0.1, 0.05, 0.95, 0.98)
GOLDEN = {"golden retriever": 0.9}
DOG_KINDS = {"retriever": 0.92, "dog": 0.95, "animal": 0.98}
SHELF = [(f"LABEL {n}", 0.99, 0.2 * (n % 5), n // 5 / 6, 0.2 * (n % 5) + 0.1, n // 5 / 6 + 0.05)
         for n in range(30)]  # fmt: skip

CASES = [
    Case(
        "cat: the detector and the classifier agree, the description is borne out",
        ["A cat, probably a tabby cat, takes up most of the picture.",
         "describes it as “A ginger cat looks at the camera”."],
        boxes=[CAT], tags={"tabby cat": 0.7, "tiger cat": 0.2},
        kinds={"cat": 0.93, "animal": 0.98}, alt="A ginger cat looks at the camera",
    ),
    Case(
        "fine classes split: only the kind",
        ["A cat takes up"], ["tabby", "tiger", "Egyptian"], boxes=[CAT],
        tags={"Egyptian Mau": 0.38, "tiger cat": 0.37}, kinds={"cat": 0.92, "animal": 0.94},
    ),
    Case(
        "experts of equal standing contradict each other",
        ["An animal, either a cat or a dog, takes up most of the picture, which is"], ["retriever"],
        boxes=[CAT], tags=GOLDEN, kinds=DOG_KINDS,
    ),
    Case(
        "no contradiction where both are seen",
        ["a golden retriever", "a cat at the lower left"], ["either"],
        boxes=[("cat", 0.85, 0.05, 0.4, 0.45, 0.98), ("dog", 0.9, 0.5, 0.2, 0.95, 0.98)],
        tags=GOLDEN, kinds=DOG_KINDS,
    ),
    Case(
        "one of two dogs has the breed",
        ["two dogs side by side", "One of the dogs is probably a golden retriever."],
        boxes=[("dog", 0.95, 0.05, 0.4, 0.45, 0.98), ("dog", 0.9, 0.5, 0.2, 0.95, 0.98)],
        tags=GOLDEN, kinds=DOG_KINDS,
    ),
    Case(
        "an animal that the detector has no class for",
        ["What looks like a lion"], ["cat"], boxes=[("cat", 0.8, 0.1, 0.1, 0.9, 0.9)],
        tags={"lion": 0.92}, kinds={"big cat": 0.95, "wild cat": 0.96, "animal": 0.98},
    ),
    Case(
        "a weak detection of one animal among many guesses is an animal",
        ["An animal takes up"], ["cat", "badger"], boxes=[("cat", 0.65, 0.01, 0, 0.95, 1)],
        tags={"badger": 0.23}, kinds={"animal": 0.59, "fox": 0.17},
    ),
    Case(
        "something big that only a middling detection sees is left out",
        ["nothing was recognised with confidence"], ["boat"],
        boxes=[("boat", 0.72, 0.08, 0.08, 0.59, 0.94)],
    ),
    Case(
        "a weak box beside a sure classifier is left out",
        ["a paintbrush"], ["sandwich"], boxes=[("sandwich", 0.5, 0.45, 0.2, 0.78, 0.68)],
        tags={"paintbrush": 0.99}, kinds={"brush": 0.99},
    ),
    Case("a low softmax is nothing", ["nothing was recognised"], ["lampshade"],
         tags={"lampshade": 0.21}, kinds={"lamp": 0.23}),
    Case("a description confirms a middling class", ["The picture shows a flower.", "dahlia"],
         ["daisy"], tags={"daisy": 0.34}, kinds={"flower": 0.34},
         alt="Orange dahlia in bloom"),
    Case("the only classes of a kind stand for it", ["a rocket or missile"],
         tags={"missile": 0.8, "projectile": 0.15}, kinds={"rocket": 0.95}),
    Case("the cup holds what the classifier sees",
         ["a cup of espresso in the centre, on what looks like a table"],
         boxes=[("cup", 0.96, 0.29, 0.06, 0.69, 0.63), ("dining table", 0.61, 0, 0, 1, 1)],
         tags={"espresso": 0.95}, kinds={"coffee": 0.95, "drink": 0.95}),
    Case("mass nouns", ["A bowl of guacamole takes up"],
         boxes=[("bowl", 0.9, 0.2, 0.1, 0.8, 0.9)], tags={"guacamole": 0.93},
         kinds={"food": 0.98}),
    Case("plural nouns", ["a pair of jeans"], tags={"jeans": 0.9}, kinds={"clothing": 0.93}),
    Case("riders", ["two people on bicycles side by side"],
         boxes=[("person", 0.9, 0.1, 0.1, 0.25, 0.7), ("bicycle", 0.95, 0.05, 0.4, 0.35, 0.95),
                ("person", 0.9, 0.6, 0.1, 0.75, 0.7), ("bicycle", 0.95, 0.55, 0.4, 0.85, 0.95)]),
    Case("beside a motorcycle is not on it", ["a motorcycle at the lower right"], ["on a moto"],
         boxes=[("person", 0.9, 0.1, 0.1, 0.3, 0.95), ("motorcycle", 0.95, 0.4, 0.4, 0.9, 0.95)]),
    Case("nor is who stands before it", ["a person", "a motorcycle"], ["on a motorcycle"],
         boxes=[("person", 0.9, 0.45, 0.1, 0.6, 0.97), ("motorcycle", 0.95, 0.3, 0.4, 0.8, 0.95)]),
    Case("a rider and a walker", ["two people", "One of the people is on a horse."],
         boxes=[("person", 0.9, 0.1, 0.1, 0.25, 0.7), ("horse", 0.95, 0.05, 0.3, 0.35, 0.95),
                ("person", 0.9, 0.6, 0.1, 0.75, 0.9)]),
    Case("a table and what is on it", ["On the table there is a pizza and two wine glasses."],
         boxes=[("dining table", 0.9, 0, 0.4, 1, 1), ("pizza", 0.95, 0.3, 0.5, 0.8, 0.9),
                ("wine glass", 0.85, 0.7, 0.3, 0.8, 0.7),
                ("wine glass", 0.8, 0.85, 0.3, 0.95, 0.7)],
         tags={"pizza": 0.9}, kinds={"food": 0.95}),
    Case("a crowd", ["a crowd of at least 40 people across the middle"],
         boxes=[("person", 0.9, 0.02 * n, 0.4, 0.02 * n + 0.015, 0.7) for n in range(40)]),
    Case("boxes of one person", ["A person takes up"], ["two", "people"],
         boxes=[("person", 0.9, 0.1, 0.1, 0.6, 0.9), ("person", 0.8, 0.12, 0.12, 0.58, 0.88),
                ("person", 0.7, 0.2, 0.2, 0.4, 0.6)]),
    Case("what is carried", ["A person with a tie and a handbag takes up"],
         boxes=[("person", 0.95, 0.3, 0.05, 0.7, 0.98), ("tie", 0.9, 0.45, 0.3, 0.52, 0.6),
                ("handbag", 0.85, 0.6, 0.6, 0.68, 0.8)]),
    Case("middling and low scores are hedged",
         ["what looks like a car at the left", "There may also be a bicycle at the lower left."],
         boxes=[("person", 0.9, 0.6, 0.4, 0.7, 0.9), ("car", 0.7, 0, 0.45, 0.1, 0.6),
                ("bicycle", 0.55, 0.15, 0.7, 0.25, 0.95)]),
    Case("a doubtful box that nothing else speaks for is left out", [], ["chair"],
         boxes=[("chair", 0.66, 0.02, 0.5, 0.81, 0.99)], tags={"drum": 0.38}),
    Case("text, largest and in place",
         ["At the upper left, text reads “OPEN / 24 HOURS”.",
          "small text seems to read “tiny print”."],
         lines=[("OPEN", 0.99, 0.1, 0.1, 0.3, 0.2), ("24 HOURS", 0.98, 0.1, 0.21, 0.3, 0.3),
                ("tiny print", 0.6, 0.6, 0.9, 0.8, 0.91)]),
    Case("much scattered text", ["Text stands in 30 places, and includes “LABEL 0”"],
         ["LABEL 9"], lines=SHELF),
    Case("a page", ["a page of text of 20 lines, which begins “Line 0 of a long printed page"],
         ["refrigerator"], boxes=[("refrigerator", 0.55, 0, 0, 1, 1)],
         lines=[(f"Line {n} of a long printed page, set in one column", 0.99,
                 0.05, 0.02 + n * 0.045, 0.95, 0.055 + n * 0.045) for n in range(20)]),
    Case("a description that nothing bears out", [], ["coins", "Pompeii"],
         alt="Ancient Greek coins from Pompeii"),
    Case("dates, places and file names are no descriptions", ["A tabby cat takes up"],
         ["2019", "Paris", "jpg"], boxes=[CAT], tags={"tabby cat": 0.9}, alt="my cat.jpg",
         statements=[("cat in 2019", "exif:DateTime"), ("Paris of the cat", "iptc:city")]),
    Case("text in the picture bears a name out", ["calls it “Grace Hopper”."],
         lines=[("ADM HOPPER", 0.99, 0.1, 0.8, 0.3, 0.84)], alt="Grace Hopper"),
    Case("what is read is not said twice", ["reads “FRESH COFFEE"], ["accompanying"],
         lines=[("FRESH COFFEE", 0.99, 0.1, 0.1, 0.9, 0.2)], alt="Fresh coffee!"),
    Case("the plural of a page title is no count", ["a clock"], ["shows clocks"],
         tags={"wall clock": 0.65}, kinds={"clock": 0.7, "timepiece": 0.7},
         statements=[("Wall clocks", "page:title")]),
    Case("the plural of a description is", ["The picture shows dogs."],
         tags={"cocker spaniel": 0.38}, kinds={"spaniel": 0.7, "dog": 0.89, "animal": 0.9},
         alt="Two dogs looking out of a window"),
    Case("a lone thing: where it is, and the format",
         ["A bird takes up about half of the picture, at the left.",
          "The picture is in landscape format."],
         boxes=[("bird", 0.9, 0, 0.05, 0.55, 0.95)], kinds={"bird": 0.6, "animal": 0.9}),
    Case("a shape on plain ground", ["what looks like a kite"],
         boxes=[("kite", 0.97, 0.4, 0.4, 0.6, 0.6)]),
    Case("a third of the classes are animals", ["nothing was recognised"], ["animal"],
         tags={"ladybug": 0.3}, kinds={"animal": 0.83, "insect": 0.56}),
    Case("a description speaks of more than are seen", ["at least one dog in the centre"],
         boxes=[("dog", 0.7, 0.4, 0.4, 0.6, 0.6)], alt="Two dogs looking out of a window"),
    Case("nothing known", ["A picture in portrait format in which nothing was recognised"],
         ["photograph"], size=(600, 800)),
    Case("size unknown", ["A picture in which nothing was recognised"], size=(0, 0)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_caption(case: Case) -> None:
    text = caption(case)
    for phrase in case.says:
        assert phrase in text
    for phrase in case.hides:
        assert phrase not in text


def test_failed_and_unknown_priors_count_as_absent() -> None:
    image = {"width": 10, "height": 10}
    given = {
        "detection": {"status": "failed", "findings": {"boxes": [{"label": "cat", "score": 1}]}},
        "tagging": {"status": "ok", "findings": None},
        "segmentation": ok({"boxes": [{"label": "dog"}]}),
    }
    expected = "A square picture in which nothing was recognised with confidence."
    assert compose(read(image, given)) == expected


async def test_engine_answers_without_the_image() -> None:
    async def load() -> bytes:
        raise AssertionError("compose looks at no pixels")

    engine = Compose()
    await engine.open()
    captioned = await engine.caption(
        CaptionTask({"width": 8, "height": 6}, "", priors(CASES[0]), load)
    )
    await engine.close()
    assert captioned.text.startswith("A cat")
    assert captioned.finish == "stop"
    assert (captioned.tokens_in, captioned.price, engine.saw_image) == (None, None, False)


@pytest.mark.parametrize(
    ("noun", "one", "many"),
    [
        ("espresso", "an espresso", "espressos"),
        ("hourglass", "an hourglass", "hourglasses"),
        ("unicycle", "a unicycle", "unicycles"),
        ("US flag", "a US flag", "US flags"),
        ("person", "a person", "people"),
        ("sheep", "a sheep", "sheep"),
        ("knife", "a knife", "knives"),
        ("wine glass", "a wine glass", "wine glasses"),
        ("mouse", "a computer mouse", "computer mice"),
        ("tv", "a television", "televisions"),
        ("guacamole", "guacamole", "guacamole"),
        ("scissors", "a pair of scissors", "scissors"),
        ("missile", "a rocket or missile", "rockets or missiles"),
    ],
)
def test_articles_and_plurals(noun: str, one: str, many: str) -> None:
    assert (singular(noun), plural(noun)) == (one, many)


def test_counts() -> None:
    assert counted("dog", 5) == "five dogs"
    assert counted("dog", 6) == "at least six dogs"
    assert counted("person", 14) == "a crowd of at least 14 people"
    assert counted("scissors", 2) == "two pairs of scissors"


def test_lists_and_sentences() -> None:
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b, c"]) == "a; and b, c"
    assert sentence("  two\n dogs. ") == "Two dogs."


def test_quoted_text_is_disarmed() -> None:
    hostile = '<script>x</script> "He"\n\u202eevil\x00 &lt;|im_end|&gt; “q”'
    assert clean(hostile) == "x ‘He’ evil ‹|im_end|› ‘q’"  # noqa: RUF001
    assert clean(None) == ""
    assert capped("word " * 100, 40).endswith(" …")
    assert len(capped("x" * 100, 40)) <= 40
