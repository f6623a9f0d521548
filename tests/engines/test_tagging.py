from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fastavro.validation import validate

from consumers.expert import Sighting
from consumers.experts.tagging import Tagging
from densefusion.settings import Experts
from engines.images import decode
from engines.session import Session
from engines.tagging import WEIGHTS, ClassName, Tagger, load_labels

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = [
    ClassName("tabby", ("cat", "animal")),
    ClassName("tiger cat", ("cat", "animal")),
    ClassName("pug", ("dog", "animal")),
    ClassName("espresso", ("coffee",)),
    ClassName("maze", ()),
]


class FixedSession:
    """Stands in for a model: gives both views of every picture these probabilities."""

    def __init__(self, *shares: float) -> None:
        self._logits = np.log(np.array(shares, np.float32))

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [np.tile(self._logits, (len(feeds["image"]), 1))]


VIEWS = np.zeros((2, 224, 224, 3), np.uint8)


def test_kinds_sum_all_their_classes_even_those_too_weak_for_a_tag() -> None:
    session = FixedSession(0.5, 0.1, 0.05, 0.3, 0.05)
    tagger = Tagger(session, LABELS)  # type: ignore[arg-type]
    first, second = tagger.run([VIEWS, VIEWS])
    assert first == second
    assert [(tag.label, round(tag.score, 3)) for tag in first.tags] == [
        ("tabby", 0.5),
        ("espresso", 0.3),
    ]
    assert [(kind.label, round(kind.score, 3)) for kind in first.kinds] == [("cat", 0.6)]


def test_a_kind_needs_more_than_chance() -> None:
    """Three classes in five are animals: .65 of animal is next to nothing, .9 is something."""
    unsure = Tagger(FixedSession(0.15, 0.2, 0.3, 0.2, 0.15), LABELS)  # type: ignore[arg-type]
    assert unsure.run([VIEWS])[0].kinds == []
    sure = Tagger(FixedSession(0.3, 0.3, 0.3, 0.05, 0.05), LABELS)  # type: ignore[arg-type]
    assert [kind.label for kind in sure.run([VIEWS])[0].kinds] == ["animal", "cat"]
    assert sure.run([]) == []


def test_views_are_the_centre_and_the_whole() -> None:
    pixels = np.zeros((256, 512, 3), np.uint8)
    pixels[16:240, 144:368] = 200  # the crop of seven eighths of the shorter side
    centre, whole = Tagger.prepare(pixels)
    assert (centre == 200).all()
    assert 0.35 < (whole == 200).mean() < 0.4
    assert Tagger.prepare(pixels[:1, :3]).shape == (2, 224, 224, 3)


def test_the_tagger_names_what_is_in_photographs() -> None:
    tagger = Tagger(Session(WEIGHTS), load_labels())
    names = ["cat", "coffee", "brushes", "mountains", "cameraman"]
    photographs = [decode((EXAMPLES / f"{name}.jpg").read_bytes()) for name in names]
    found = tagger.run([tagger.prepare(pixels) for pixels in photographs])
    cat, coffee, brushes, mountains, cameraman = found
    assert {"cat", "animal"} <= {kind.label for kind in cat.kinds}
    assert coffee.tags[0].label == "espresso"
    assert "coffee" in {kind.label for kind in coffee.kinds}
    assert brushes.tags[0].label == "paintbrush"
    assert mountains.tags[0].label == "mountain"
    assert cameraman.tags[0].label == "tripod"
    for each in found:
        for scored in (each.tags, each.kinds):
            scores = [tag.score for tag in scored]
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)


async def test_the_expert_fits_its_schema_and_describes_itself() -> None:
    expert = Tagging(Experts(threads=1, max_batch=2))
    with pytest.raises(ValueError, match="open"):
        await expert.find(Sighting({}, VIEWS[0]))
    await expert.open()
    data = (EXAMPLES / "mountains.jpg").read_bytes()
    pixels = expert.prepare(decode(data, min_side=expert.pixels))
    findings = await expert.find(Sighting({}, pixels))
    await expert.close()
    assert validate(findings, expert.schema())
    assert expert.describe(findings)[0].startswith("mountain")
    assert expert.describe({"tags": [{"label": "a"}, {"label": "b"}]}) == ["a, b"]
    assert expert.describe({"tags": []}) == []
