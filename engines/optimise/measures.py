"""How alike two answers are, in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.detection import overlap

Placed = tuple[str, float, tuple[float, float, float, float]]  # label, score, x0 y0 x1 y1


def boxes(some: Sequence[Placed], others: Sequence[Placed], sure: float) -> list[float]:
    """For each box of either side with at least the score `sure`: its best IoU with a box of the
    same label on the other side, 0 where there is none.

    Boxes below `sure` are there to be matched only: a score that crosses the threshold by a hair
    is no disagreement.
    """
    return [
        max(
            (
                float(overlap(np.array([place]), np.array([other]))[0, 0])
                for name, _, other in theirs
                if name == label
            ),
            default=0.0,
        )
        for ours, theirs in ((some, others), (others, some))
        for label, score, place in ours
        if score >= sure
    ]


def labels(
    some: Sequence[tuple[str, float]], others: Sequence[tuple[str, float]], sure: float
) -> list[float]:
    """For each label of either side with at least the score `sure`, 1 if the other side has it at
    any score, else 0."""
    return [
        float(any(label == other for other, _ in theirs))
        for ours, theirs in ((some, others), (others, some))
        for label, score in ours
        if score >= sure
    ]


def edits(text: str, other: str) -> int:
    """Levenshtein's distance: insertions, deletions and substitutions of one character each."""
    row = list(range(len(other) + 1))
    for place, character in enumerate(text, 1):
        before, row[0] = row[0], place
        for column, own in enumerate(other, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (character != own)),
            )
    return row[-1]


def characters(some: Sequence[str], others: Sequence[str]) -> float:
    """1 - edits over the length of `some`, not below 0. 1 where there is nothing on either side."""
    wrong = sum(edits(text, other) for text, other in zip(some, others, strict=True))
    length = sum(map(len, some))
    return max(0.0, 1 - wrong / length) if length else float(wrong == 0)


def cosine(some: np.ndarray, others: np.ndarray) -> float:
    """Cosine of the angle between two arrays, flattened; of two zeros 1; with NaNs 0."""
    first, second = (each.astype(np.float64).ravel() for each in (some, others))
    if first.shape != second.shape or not np.isfinite(second).all():
        return 0.0
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if lengths == 0:
        return float(np.array_equal(first, second))
    return max(0.0, float(first @ second) / lengths)
