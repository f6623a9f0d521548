from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fastavro.validation import validate
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.expert import Sighting
from consumers.experts.detection import Detection
from densefusion.settings import Experts
from engines.detection import WEIGHTS, Detector, load_labels, overlap, suppress
from engines.images import decode
from engines.session import Session

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = [None, "person", "cat", None, "dog"]
ANCHORS = 6


class FixedSession:
    """Stands in for a model: answers each pair of views with the boxes and scores it was given."""

    def __init__(self) -> None:
        self.boxes = np.tile(np.array([0.1, 0.1, 0.4, 0.5], np.float32), (2, ANCHORS, 1))
        self.scores = np.zeros((2, ANCHORS, 4), np.float32)

    def see(self, anchor: int, box: list[float], category: int, *scores: float) -> None:
        """An object at `box` of the picture, with its score in each view (the second mirrored)."""
        x0, y0, x1, y1 = box
        self.boxes[0, anchor] = box
        self.boxes[1, anchor] = [1 - x1, y0, 1 - x0, y1]
        self.scores[:, anchor, category - 1] = scores

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        repeats = len(feeds["image"]) // 2
        return [np.tile(self.boxes, (repeats, 1, 1)), np.tile(self.scores, (repeats, 1, 1))]


@pytest.fixture
def session() -> FixedSession:
    return FixedSession()


@pytest.fixture
def detector(session: FixedSession) -> Detector:
    return Detector(session, LABELS)  # type: ignore[arg-type]


IMAGE = np.zeros((300, 300, 3), np.uint8)


def test_what_both_views_see_is_there_and_what_one_sees_is_not(
    session: FixedSession, detector: Detector
) -> None:
    session.see(0, [0.2, 0.1, 0.5, 0.9], 1, 0.4, 0.8)
    session.see(1, [0.6, 0.1, 0.9, 0.9], 2, 0.9, 0.05)
    (found,) = detector.run([IMAGE])
    assert [box.label for box in found] == ["person"]
    assert found[0].score == pytest.approx(0.6)
    assert (found[0].x0, found[0].x1) == pytest.approx((0.2, 0.5), abs=1e-6)


def test_boxes_are_clipped_and_sorted_and_empty_ones_dropped(
    session: FixedSession, detector: Detector
) -> None:
    session.see(0, [-0.3, 0.2, 0.5, 1.7], 1, 0.6, 0.6)
    session.see(1, [0.6, 0.1, 0.9, 0.3], 4, 0.9, 0.9)
    session.see(2, [1.1, 0.1, 1.4, 0.9], 2, 0.9, 0.9)
    session.see(3, [0.5, 0.6, 0.4, 0.5], 2, 0.9, 0.9)
    session.see(4, [float("nan"), 0.6, 0.8, 0.9], 2, 0.9, 0.9)
    session.see(5, [0.1, 0.1, 0.2, 0.2], 3, 0.99, 0.99)  # an id without a name
    (found,) = detector.run([IMAGE])
    assert [box.label for box in found] == ["dog", "person"]
    person = found[1]
    assert (person.x0, person.y0, person.x1, person.y1) == pytest.approx((0, 0.2, 0.5, 1))


def test_suppression_is_per_class_but_for_the_very_same_place(
    session: FixedSession, detector: Detector
) -> None:
    session.see(0, [0.1, 0.1, 0.5, 0.5], 1, 0.9, 0.9)
    session.see(1, [0.12, 0.1, 0.52, 0.5], 1, 0.8, 0.8)  # the same person again
    session.see(2, [0.1, 0.2, 0.5, 0.6], 2, 0.7, 0.7)  # a cat in the person's lap
    session.see(3, [0.1, 0.2, 0.5, 0.605], 4, 0.6, 0.6)  # the cat, taken for a dog
    (found,) = detector.run([IMAGE])
    assert [box.label for box in found] == ["person", "cat"]


def test_at_most_max_boxes(session: FixedSession) -> None:
    for anchor in range(ANCHORS):
        session.see(anchor, [anchor / 6, 0, (anchor + 0.9) / 6, 1], 1, 0.9, 0.9)
    detector = Detector(session, LABELS, max_boxes=3)  # type: ignore[arg-type]
    assert len(detector.run([IMAGE])[0]) == 3
    assert detector.run([]) == []


corner = st.floats(0, 1, width=32)


@settings(max_examples=100, deadline=None)
@given(boxes=st.lists(st.tuples(corner, corner, corner, corner, st.integers(0, 2)), max_size=20))
def test_what_is_kept_does_not_overlap_and_what_is_dropped_does(
    boxes: list[tuple[float, float, float, float, int]],
) -> None:
    tidy = [(min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01) for a, b, c, d, _ in boxes]
    corners = np.array(tidy, np.float32).reshape(-1, 4)
    groups = np.array([box[4] for box in boxes], np.int64)
    scores = np.linspace(1, 0.1, len(boxes), dtype=np.float32)
    kept = suppress(corners, scores, groups, 0.5)
    assert list(kept) == sorted(kept)
    same = (groups[:, None] == groups[None]) & ~np.eye(len(boxes), dtype=bool)
    shared = np.where(same, overlap(corners, corners), 0) if len(boxes) else np.zeros((0, 0))
    assert (shared[np.ix_(kept, kept)] <= 0.5 + 1e-5).all()
    for dropped in set(range(len(boxes))) - set(kept.tolist()):
        assert (shared[dropped, kept] > 0.5 - 1e-5).any()


def test_the_detector_sees_what_is_in_photographs() -> None:
    detector = Detector(Session(WEIGHTS), load_labels())
    expected = {"cat": "cat", "coffee": "cup", "astronaut": "person", "officer": "person"}
    photographs = [decode((EXAMPLES / f"{name}.jpg").read_bytes()) for name in expected]
    found = detector.run([detector.prepare(pixels) for pixels in photographs])
    for boxes, label in zip(found, expected.values(), strict=True):
        assert label in [box.label for box in boxes]
        assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    cup = next(box for box in found[1] if box.label == "cup")
    assert (cup.x0, cup.x1) == pytest.approx((0.3, 0.7), abs=0.1)
    assert detector.run([detector.prepare(np.full((40, 900, 3), 90, np.uint8))]) == [[]]


async def test_the_expert_answers_many_at_once() -> None:
    expert = Detection(Experts(threads=2, max_batch=4))
    with pytest.raises(ValueError, match="open"):
        await expert.find(Sighting({}, IMAGE))
    await expert.open()
    names = ["cat", "coffee", "galaxies", "officer"] * 3
    decoded = [decode((EXAMPLES / f"{n}.jpg").read_bytes(), min_side=expert.pixels) for n in names]
    sightings = [Sighting({}, expert.prepare(pixels)) for pixels in decoded]
    findings = await asyncio.gather(*map(expert.find, sightings))
    broken = np.zeros((0, 5, 3), np.uint8)
    answers = await asyncio.gather(
        *(expert.find(Sighting({}, pixels)) for pixels in (broken, sightings[0].pixels)),
        return_exceptions=True,
    )
    await expert.close()
    assert isinstance(answers[0], Exception)
    assert answers[1]["boxes"][0]["label"] == "cat"  # type: ignore[index]
    assert all(validate(each, expert.schema()) for each in findings)
    assert findings[2]["boxes"] == []
    for name, first, later in zip(names, findings[:4] * 3, findings, strict=True):
        assert [box["label"] for box in first["boxes"]] == [
            box["label"] for box in later["boxes"]
        ], name
    lines = expert.describe(
        {
            "boxes": [
                {"label": "cup", "score": 1, "x0": 0, "y0": 0.0336} | {"x1": 0.56, "y1": 0.9984}
            ]
        }
    )
    assert lines == ["cup: [0.000, 0.034, 0.560, 0.998]"]
