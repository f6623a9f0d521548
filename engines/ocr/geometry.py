"""Quadrilaterals around text: 4 x 2 float32, in pixels, clockwise from the text's top left."""

from __future__ import annotations

import math

import cv2
import numpy as np

# PP-OCR takes a box this much taller than wide for a line of text turned by a quarter.
VERTICAL = 1.5


def upright(corners: np.ndarray) -> np.ndarray:
    """Corners of a rectangle in any order, as top left, top right, bottom right, bottom left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    quad: np.ndarray = np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
    return quad


def along_text(quad: np.ndarray) -> np.ndarray:
    """`quad` begun at the text's own top left: a tall one is read from its top downwards.

    PP-OCR does the same: it turns the crop by a quarter, counterclockwise.
    """
    width, height = size(quad)
    return np.roll(quad, -1, axis=0) if height >= VERTICAL * width else quad


def overturned(quad: np.ndarray) -> np.ndarray:
    """`quad` begun at the opposite corner: its text stands on its head."""
    return np.roll(quad, 2, axis=0)


def size(quad: np.ndarray) -> tuple[float, float]:
    """Width and height, the longer of each two opposite sides."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def angle(quad: np.ndarray) -> float:
    """Direction of the text in radians, clockwise from "to the right" (y points down)."""
    x, y = (quad[1] - quad[0]) + (quad[2] - quad[3])
    return math.atan2(float(y), float(x))


def crop(image: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """The text inside `quad`, the right way up: h x w x 3, at the image's own scale."""
    width, height = (max(1, round(side)) for side in size(quad))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(quad, target)
    cut: np.ndarray = cv2.warpPerspective(
        image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cut
