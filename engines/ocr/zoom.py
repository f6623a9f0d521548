"""Looks at a picture in passing, and again only where there is small text.

A detector's time is linear in the pixels that it is given, and most pictures hold no text, or
large text. Text shows in a reduced picture as long as its lines are some `VISIBLE` pixels high;
where it begins and ends, at about twice that. What is smaller is told by its strokes: thin, dense
and of strong contrast. So there are up to three looks: for strokes, with nothing but two
morphological filters; of the detector over the reduced picture; and of the detector at full scale,
over the surroundings of small lines and of strokes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.ocr.detector import STRIDE, Box, TextDetector, network_size, resize
from engines.ocr.geometry import size

LOOK = 448 * 336  # pixels of the reduced picture
ENOUGH = 16.0  # height of a line's box, in the map's pixels, at which its ends are exact
AIM = 20.0  # the height that the second look makes of the lowest line
MARGIN = 1.0  # around a line, of its height: what belongs to one look
FINEST = 1.5  # of `max_side`: small regions may be seen this much finer
MAX_ZOOM = 2.0  # and this much beyond the picture's own pixels
STROKES = (
    16.0  # grey levels that strokes stand out by, mean over `_LINE`, above the picture's noise
)
MOST = 0.5  # of the picture in need of a second look: then the whole of it is looked at once
_LINE = (32, 8)  # pixels: a few letters of a line
_CELL = 16
_STROKE = np.ones((3, 3), np.uint8)


@dataclass(slots=True)
class Region:
    """What lies close together: x0 y0 x1 y1 in pixels of the image, and the scale it wants."""

    corners: np.ndarray
    scale: float
    boxes: list[Box]


class ZoomingDetector:
    """`TextDetector`, at a size chosen by what is in the picture.

    Safe to call from several threads. For providers on which time grows with every pixel and any
    size of input is as good as another: the CPU.

    Args:
        detector: runs the network.
        max_side: the longest side of what is looked at; regions may be seen `FINEST` times finer.
    """

    def __init__(self, detector: TextDetector, *, max_side: int = 960) -> None:
        self._detector = detector
        self._max_side = max_side

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        """For each image (H x W x 3, uint8, RGB) its boxes, the surest first.

        Raises:
            EngineError: the model failed.
        """
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Box]:
        height, width = image.shape[:2]
        longest = max(width, height)
        whole = network_size(width, height, self._max_side)
        full = min(1.0, self._max_side / longest)
        reduced = math.sqrt(LOOK / (width * height))
        if reduced > 0.8 * full:
            return self._detector.find(image, whole)
        wanted = [Region(corners, full, []) for corners in fine_strokes(image, full)]
        if _share(wanted, image) > MOST:
            return self._detector.find(image, whole)
        finest = min(MAX_ZOOM, FINEST * self._max_side / longest)
        target = _strides(width * reduced), _strides(height * reduced)
        for box in self._detector.find(image, target):
            high = min(size(box.quad))
            clear = high * reduced >= ENOUGH
            margin = MARGIN * high
            corners = np.concatenate([box.quad.min(axis=0) - margin, box.quad.max(axis=0) + margin])
            wanted.append(Region(corners, 0 if clear else min(finest, AIM / high), [box]))
        found: list[Box] = []
        for region in join(wanted):
            if region.scale > reduced:
                found += self._again(image, region)
            else:
                found += region.boxes
        return sorted(found, key=lambda box: -box.score)[: self._detector.max_boxes]

    def _again(self, image: np.ndarray, region: Region) -> list[Box]:
        """The boxes whose middle is in the region, seen at its scale."""
        sides = region.corners[2:] - region.corners[:2]
        scale = min(region.scale, self._max_side / max(sides))
        left, right = _window(region.corners[0], region.corners[2], scale, image.shape[1])
        top, bottom = _window(region.corners[1], region.corners[3], scale, image.shape[0])
        target = _strides((right - left) * scale), _strides((bottom - top) * scale)
        corner = np.array([left, top], np.float32)
        seen = []
        for box in self._detector.find(image[top:bottom, left:right], target):
            quad = box.quad + corner
            middle = quad.mean(axis=0)
            if (region.corners[:2] <= middle).all() and (middle <= region.corners[2:]).all():
                seen.append(Box(quad, box.score))
        return seen


def fine_strokes(image: np.ndarray, scale: float) -> list[np.ndarray]:
    """Where strokes of at most three pixels lie dense at `scale`, as in small print.

    Returns:
        x0 y0 x1 y1 of each such place, in pixels of the image, with a margin.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = resize(grey, (round(grey.shape[1] * scale), round(grey.shape[0] * scale)))
    dark, bright = (
        cv2.morphologyEx(grey, how, _STROKE) for how in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)
    )
    dense = cv2.blur(cv2.max(dark, bright), _LINE)
    noise = float(np.percentile(dense[::8, ::8], 20))
    marked = (dense > STROKES + noise).view(np.uint8)
    small = cv2.dilate(marked, np.ones((_CELL, _CELL), np.uint8))[::_CELL, ::_CELL]
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(small, _STROKE))
    cell = _CELL / scale
    return [
        np.array([left, top, left + width, top + height], np.float32) * cell
        for left, top, width, height, _ in stats[1:]
    ]


def join(regions: Sequence[Region]) -> list[Region]:
    """Regions that overlap become one, at the finest of their scales."""
    found: list[Region] = []
    for region in regions:
        joined = Region(region.corners.copy(), region.scale, list(region.boxes))
        while near := [each for each in found if _touch(each.corners, joined.corners)]:
            for each in near:
                joined.corners[:2] = np.minimum(joined.corners[:2], each.corners[:2])
                joined.corners[2:] = np.maximum(joined.corners[2:], each.corners[2:])
                joined.scale = max(joined.scale, each.scale)
                joined.boxes += each.boxes
            found = [each for each in found if not any(each is other for other in near)]
        found.append(joined)
    return found


def _touch(some: np.ndarray, other: np.ndarray) -> bool:
    return bool((some[:2] <= other[2:]).all() and (other[:2] <= some[2:]).all())


def _share(regions: Sequence[Region], image: np.ndarray) -> float:
    """Of the image's area, that of the regions once they are joined."""
    sides = [(each.corners[2:] - each.corners[:2]).tolist() for each in join(regions)]
    area = sum(float(width * height) for width, height in sides)
    return area / float(image.shape[0] * image.shape[1])


def _window(low: float, high: float, scale: float, limit: int) -> tuple[int, int]:
    """A stretch of the image around low..high that is whole strides long at `scale`."""
    wanted = STRIDE * max(1, math.ceil((high - low) * scale / STRIDE))
    length = min(limit, math.ceil(wanted / scale))
    start = max(0, min(round((low + high - length) / 2), limit - length))
    return start, start + length


def _strides(side: float) -> int:
    return STRIDE * max(1, round(side / STRIDE))
