"""Reading order of the text lines of one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.ocr.geometry import angle, size

SAME_ROW = 0.5  # of the lower line's height, between the middles of two lines
MIN_COLUMN = 3  # lines: less is a table's row, or chance
MAX_HEAD = 4  # lines above the columns, such as a title, that may reach across the gutter
MIN_PROSE = 0.6  # of a column's width, that its lines fill at the median


@dataclass(slots=True, frozen=True)
class _Placed:
    """A line in the text's own frame: x to the right along the lines, y down across them."""

    index: int
    left: float
    right: float
    middle: float
    height: float


def reading_order(quads: Sequence[np.ndarray]) -> list[int]:
    """Indices of `quads` (4 x 2, from each text's own top left) in reading order.

    Rows from top to bottom, from left to right within a row, as the text itself stands: skewed,
    turned by a quarter or on its head. Columns of prose are read one after the other; short
    entries side by side, as in a price list, stay rows.
    """
    if not quads:
        return []
    turn = direction(quads)
    along = np.array([math.cos(turn), math.sin(turn)])
    across = np.array([-along[1], along[0]])
    placed = []
    for index, quad in enumerate(quads):
        x, y = quad @ along, quad @ across
        width, height = size(quad)
        turned = abs(math.sin(angle(quad) - turn)) > math.sin(math.pi / 4)
        placed.append(
            _Placed(index, x.min(), x.max(), float(y.mean()), width if turned else height)
        )
    return [line.index for column in _columns(placed) for line in _rows(column)]


def direction(quads: Sequence[np.ndarray]) -> float:
    """Direction in which most of the text runs, in radians, clockwise from "to the right"."""
    angles = np.array([angle(quad) for quad in quads])
    lengths = np.array([size(quad)[0] for quad in quads])
    quarters = np.round(angles / (math.pi / 2)).astype(int) % 4
    main = int(np.bincount(quarters, weights=lengths, minlength=4).argmax())
    vectors = np.exp(1j * angles) * lengths
    return float(np.angle(vectors[quarters == main].sum()))


def _rows(lines: Sequence[_Placed]) -> list[_Placed]:
    """A line joins the row of the last one if their middles are level."""
    rows: list[list[_Placed]] = []
    for line in sorted(lines, key=lambda each: each.middle):
        if rows:
            row = rows[-1]
            level = sum(each.middle for each in row) / len(row)
            lower = min(each.height for each in (line, *row))
            if line.middle - level < SAME_ROW * lower:
                row.append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda each: each.left)]


def _columns(lines: list[_Placed]) -> list[list[_Placed]]:
    """Columns of prose side by side, with what stands above them; else all the lines as one."""
    by_top = sorted(lines, key=lambda each: each.middle)
    for head in range(min(MAX_HEAD, len(lines)) + 1):
        columns = _split(by_top[head:])
        if len(columns) > 1:
            return [by_top[:head], *columns] if head else columns
    return [lines]


def _split(lines: list[_Placed]) -> list[list[_Placed]]:
    """Split at a gutter that no line crosses, where both sides are columns of prose."""
    by_left = sorted(lines, key=lambda each: each.left)
    reach = -math.inf
    for cut, line in enumerate(by_left):
        left, right = by_left[:cut], by_left[cut:]
        if line.left > reach and _is_column(left) and _is_column(right, several=True):
            return [left, *_split(right)]
        reach = max(reach, line.right)
    return [lines]


def _is_column(lines: Sequence[_Placed], several: bool = False) -> bool:
    """Whether these lines are prose: enough of them, most filling the width they span.

    With `several`, they may be more than one column: the width is then the widest line's.
    """
    if len(lines) < MIN_COLUMN:
        return False
    widths = sorted(each.right - each.left for each in lines)
    whole = max(each.right for each in lines) - min(each.left for each in lines)
    span = widths[-1] if several else whole
    heights = sorted(each.height for each in lines)
    # Prose has lines much longer than high; a price or a name seldom is.
    return widths[len(widths) // 2] > max(MIN_PROSE * span, 8 * heights[len(heights) // 2])
