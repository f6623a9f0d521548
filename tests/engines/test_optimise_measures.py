from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.optimise.measures import boxes, characters, cosine, edits, labels

HERE, THERE = (0.0, 0.0, 0.4, 0.4), (0.5, 0.5, 0.9, 0.9)


def test_boxes_want_the_place_and_the_label() -> None:
    assert boxes([("cat", 0.9, HERE)], [("cat", 0.9, HERE)], 0.5) == [1, 1]
    assert boxes([("cat", 0.9, HERE)], [("dog", 0.9, HERE)], 0.5) == [0, 0]
    assert boxes([("cat", 0.9, HERE)], [("cat", 0.9, THERE)], 0.5) == [0, 0]
    assert boxes([("cat", 0.9, HERE)], [], 0.5) == [0]
    half = boxes([("cat", 0.9, HERE)], [("cat", 0.9, (0.0, 0.0, 0.4, 0.2))], 0.5)
    assert half == pytest.approx([0.5, 0.5])


def test_a_score_that_crosses_the_threshold_is_no_disagreement() -> None:
    assert boxes([("cat", 0.51, HERE)], [("cat", 0.49, HERE)], 0.5) == [1]
    assert labels([("cat", 0.16)], [("cat", 0.14), ("dog", 0.12)], 0.15) == [1]
    assert labels([("cat", 0.5)], [("dog", 0.5)], 0.15) == [0, 0]


@pytest.mark.parametrize(
    ("text", "other", "wrong"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("OPEN", "0PEN", 1)],
)
def test_edits(text: str, other: str, wrong: int) -> None:
    assert edits(text, other) == wrong


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_edits_are_a_distance(one: str, two: str, three: str) -> None:
    assert edits(one, two) == edits(two, one)
    assert (edits(one, two) == 0) == (one == two)
    assert edits(one, three) <= edits(one, two) + edits(two, three)


def test_characters_of_all_lines_together() -> None:
    assert characters(["OPEN", "24 HOURS"], ["OPEN", "24 HOURS"]) == 1
    assert characters(["abcd", "efgh"], ["abcd", "efgx"]) == pytest.approx(7 / 8)
    assert characters(["a"], ["xyz"]) == 0
    assert characters([""], [""]) == 1
    assert characters([""], ["x"]) == 0


def test_cosine() -> None:
    one = np.array([1.0, 2, 3])
    assert cosine(one, 2 * one) == pytest.approx(1)
    assert cosine(one, -one) == 0
    assert cosine(np.zeros(3), np.zeros(3)) == 1
    assert cosine(np.zeros(3), one) == 0
    assert cosine(one, np.array([1.0, np.nan, 3])) == 0
    assert cosine(one, one[:2]) == 0
