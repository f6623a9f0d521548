"""Whatever the priors hold, a caption is bounded, well formed, repeatable, and names no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import engines
from engines.captions.compose.compose import compose
from engines.captions.compose.evidence import read
from engines.captions.compose.grammar import plural
from engines.captions.compose.vocabulary import chain, said

LABELS = Path(engines.__file__).parent / "labels"
COCO = [label for label in json.loads((LABELS / "coco.json").read_text("utf-8")) if label]
IMAGENET = sorted({e["label"] for e in json.loads((LABELS / "imagenet.json").read_text("utf-8"))})
# What two experts that disagree are reconciled under.
OWN = {"animal", "vehicle"}

unit = st.floats(0, 1)
boxes = st.fixed_dictionaries(
    {"label": st.sampled_from(COCO), "score": st.floats(0.4, 1)}
    | dict.fromkeys(("x0", "y0", "x1", "y1"), unit)
)
tags = st.fixed_dictionaries({"label": st.sampled_from(IMAGENET), "score": st.floats(0.15, 1)})
lines = st.fixed_dictionaries(
    {"text": st.text(max_size=300), "score": unit}
    | {"polygon": st.lists(unit, min_size=8, max_size=8)}
)
statements = st.fixed_dictionaries({"text": st.text(max_size=300), "source": st.text(max_size=20)})
sizes = st.fixed_dictionaries({"width": st.integers(1, 9000), "height": st.integers(1, 9000)})

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["status", "findings", "boxes", "tags", "kinds", "lines", "statements", "text",
             "label", "score", "polygon", "x0", "y0", "x1", "y1", "source"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


def ok(**findings: Any) -> dict[str, Any]:
    return {"status": "ok", "findings": findings}


def check_form(text: str) -> None:
    assert 0 < len(text) < 3000
    assert text.endswith(".")
    assert "  " not in text
    assert "\n" not in text
    assert not re.search(r"[<>\"\x00-\x1f]", text)
    assert text.count("“") == text.count("”")
    outside = re.sub(r"“[^”]*”", "“”", text)
    for sentence in re.split(r"(?<=\.) ", outside):
        assert sentence.endswith(".")
        assert not re.match(r"[a-z]", sentence)
    assert not re.search(r"\d\.\d", outside)  # no scores, no coordinates


@settings(max_examples=150, deadline=None)
@given(
    st.lists(boxes, max_size=40),
    st.lists(tags, max_size=6),
    st.lists(lines, max_size=20),
    st.lists(statements, max_size=4),
    sizes,
)
def test_form_and_repetition(
    boxes: list[Any], tags: list[Any], lines: list[Any], said: list[Any], size: dict[str, int]
) -> None:
    priors = {
        "detection": ok(boxes=boxes),
        "tagging": ok(tags=tags, kinds=[]),
        "ocr": ok(lines=lines),
        "knowledge": ok(statements=said),
    }
    text = compose(read(size, priors))
    check_form(text)
    assert text == compose(read(dict(size), json.loads(json.dumps(priors))))


@settings(max_examples=200, deadline=None)
@given(st.lists(boxes, max_size=12), st.lists(tags, max_size=4), sizes)
def test_names_nothing_that_no_expert_named(
    boxes: list[Any], tags: list[Any], size: dict[str, int]
) -> None:
    text = compose(read(size, {"detection": ok(boxes=boxes), "tagging": ok(tags=tags, kinds=[])}))
    nouns = {box["label"] for box in boxes}
    nouns |= {noun for tag in tags for noun in chain(tag["label"])}
    allowed = " / ".join({form for noun in nouns | OWN for form in (said(noun), plural(noun))})
    for noun in (*COCO, *IMAGENET):
        if re.search(rf"\b{re.escape(said(noun))}\b", text):
            assert said(noun) in allowed


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["detection", "tagging", "ocr", "knowledge"]), junk),
    st.dictionaries(st.sampled_from(["width", "height", "alt_text"]), junk),
)
def test_broken_findings_never_raise(priors: dict[str, Any], image: dict[str, Any]) -> None:
    check_form(compose(read(image, {name: {"status": "ok", "findings": it}
                                    for name, it in priors.items()})))  # fmt: skip
    check_form(compose(read(image, priors)))


def test_hundreds_of_boxes_stay_short() -> None:
    crowd = [
        {"label": COCO[n % 80], "score": 0.9, "x0": n % 20 / 20, "y0": n // 20 / 30,
         "x1": n % 20 / 20 + 0.04, "y1": n // 20 / 30 + 0.03}
        for n in range(600)
    ]  # fmt: skip
    text = compose(read({"width": 800, "height": 600}, {"detection": ok(boxes=crowd)}))
    check_form(text)
    assert len(text) < 900
