"""Where boxes are in the picture, how much of it they take up, and how they stand to each other."""

from __future__ import annotations

from collections.abc import Sequence

from engines.captions.compose.evidence import Box

_THIRDS = (0.37, 0.63)
_GRID = (
    ("at the upper left", "at the top", "at the upper right"),
    ("at the left", "in the centre", "at the right"),
    ("at the lower left", "at the bottom", "at the lower right"),
)
_BANDS = ("across the top", "across the middle", "across the lower part")
_SIDES = ("along the left side", "in the middle", "along the right side")
_SHARES = (
    (0.85, "nearly all of the picture"),
    (0.60, "most of the picture"),
    (0.42, "about half of the picture"),
    (0.28, "about a third of the picture"),
)
_SMALL = 0.006


def _third(low: float, high: float) -> int:
    """0, 1 or 2: the third in which a span lies; a span well across the middle is in it."""
    centre = (low + high) / 2
    if low < 0.4 and high > 0.6 and abs(centre - 0.5) < 0.25:
        return 1
    return sum(centre > edge for edge in _THIRDS)


def _row(box: Box) -> int:
    return _third(box.y0, box.y1)


def _column(box: Box) -> int:
    return _third(box.x0, box.x1)


def place(box: Box) -> str:
    """Where the box is, such as "at the lower left" or "across the top"."""
    if box.width >= 0.75 and box.height < 0.5:
        return _BANDS[_row(box)]
    if box.height >= 0.75 and box.width < 0.5:
        return _SIDES[_column(box)]
    return _GRID[_row(box)][_column(box)]


def share(box: Box) -> str:
    """How much of the picture the box takes up, or "" where that is not worth a word."""
    return next((words for least, words in _SHARES if box.area >= least), "")


def is_small(box: Box) -> bool:
    return box.area <= _SMALL


def union(boxes: Sequence[Box]) -> Box:
    return Box(
        boxes[0].label,
        max(box.score for box in boxes),
        min(box.x0 for box in boxes),
        min(box.y0 for box in boxes),
        max(box.x1 for box in boxes),
        max(box.y1 for box in boxes),
    )


def group_place(boxes: Sequence[Box]) -> str:
    """Where several boxes of one class are, together."""
    if len(boxes) == 1:
        return place(boxes[0])
    around = union(boxes)
    columns = {_column(box) for box in boxes}
    rows = {_row(box) for box in boxes}
    if len(columns) == 1 and len(rows) == 1:
        return _GRID[rows.pop()][columns.pop()]
    pair = _pair(boxes) if len(boxes) == 2 else ""
    if len(rows) == 1 and around.width >= 0.6:
        return _joined(pair, _BANDS[rows.pop()])
    if len(columns) == 1 and around.height >= 0.6:
        return _joined(pair, _SIDES[columns.pop()])
    if around.width >= 0.6 or around.height >= 0.6:
        return pair if len(boxes) == 2 else "spread across the picture"
    return _joined(pair, place(around))


def _joined(*phrases: str) -> str:
    return " ".join(phrase for phrase in phrases if phrase)


def _pair(boxes: Sequence[Box]) -> str:
    first, second = boxes
    if _overlap(first.y0, first.y1, second.y0, second.y1) >= 0.6 and first.iou(second) < 0.1:
        return "side by side"
    if _overlap(first.x0, first.x1, second.x0, second.x1) >= 0.6 and first.iou(second) < 0.1:
        return "one above the other"
    return ""


def _overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Shared length, as a share of the shorter span."""
    return max(min(a1, b1) - max(a0, b0), 0.0) / max(min(a1 - a0, b1 - b0), 1e-9)


def relation(box: Box, other: Box) -> str:
    """How `box` stands to `other` where they are near neighbours, or ""."""
    if box.iou(other) > 0.02:
        return ""
    if _overlap(box.y0, box.y1, other.y0, other.y1) >= 0.5:
        gap = max(other.x0 - box.x1, box.x0 - other.x1)
        if gap < 0.08:
            side = "left" if box.cx < other.cx else "right"
            return f"just to the {side} of"
    if _overlap(box.x0, box.x1, other.x0, other.x1) >= 0.5:
        gap = max(other.y0 - box.y1, box.y0 - other.y1)
        if gap < 0.08:
            return "just above" if box.cy < other.cy else "just below"
    return ""


def rides(person: Box, mount: Box) -> bool:
    """Whether the person is so placed over the mount that they can hardly be but on it.

    Upright over its middle, ending below its top and above its ground line, of a rider's size.
    """
    return (
        mount.x0 + 0.15 * mount.width < person.cx < mount.x1 - 0.15 * mount.width
        and person.y0 < mount.y0 - 0.15 * person.height
        and mount.y0 + 0.25 * mount.height < person.y1 < mount.y1 - 0.03 * mount.height
        and _overlap(person.x0, person.x1, mount.x0, mount.x1) >= 0.8
        and 0.5 * mount.height < person.height < 3 * mount.height
    )


def carries(person: Box, thing: Box) -> bool:
    """Whether the thing lies so much within the person's outline that it is with them."""
    return thing.inside(person) >= 0.6 and thing.area < 0.5 * person.area


def rests_on(thing: Box, support: Box) -> bool:
    """Whether the thing's foot lies within the support's outline, and the thing fits on it."""
    foot = thing.y1 - 0.05 * thing.height
    return (
        support.y0 < foot <= support.y1 + 0.02
        and _overlap(thing.x0, thing.x1, support.x0, support.x1) >= 0.85
        and thing.width <= support.width
        and thing.area < support.area
    )
