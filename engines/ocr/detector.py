"""Where text is: differentiable binarization (arXiv 1911.08947), as PP-OCR runs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.errors import EngineError
from engines.ocr.geometry import upright
from engines.session import Session

STRIDE = 32  # the network halves its input five times
THRESHOLD = 0.3  # of a pixel
BOX_THRESHOLD = 0.5  # of a box's mean
UNCLIP = 1.6  # the network is trained on shrunken boxes (section 3.4 of the paper)
MIN_SIDE = 3  # pixels of the map
MAX_CONTOURS = 1000  # looked at in one image
_KERNEL = np.ones((2, 2), np.uint8)


@dataclass(slots=True, frozen=True)
class Box:
    """Where a line of text is.

    Attributes:
        quad: 4 x 2 float32, in pixels of the image: top left, top right, bottom right, bottom left.
        score: mean probability that its pixels are text, in [0, 1].
    """

    quad: np.ndarray
    score: float


class TextDetector:
    """Finds lines of text. Safe to call from several threads.

    Args:
        session: a PP-OCR detector: n x 3 x H x W in, n x 1 x H x W probabilities out.
        max_side: longest side, in pixels, at which it looks; smaller images are not enlarged.
        max_boxes: boxes in one image, at the most.
        max_batch: images of one shape in one run; on a CPU more than one buys nothing.
    """

    def __init__(
        self, session: Session, *, max_side: int = 960, max_boxes: int = 200, max_batch: int = 1
    ) -> None:
        self._session = session
        self._max_side = max_side
        self.max_boxes = max_boxes
        self._max_batch = max_batch

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        """For each image (H x W x 3, uint8, RGB) its boxes, the surest first.

        Raises:
            EngineError: the model failed.
        """
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            shapes[network_size(image.shape[1], image.shape[0], self._max_side)].append(index)
        found: list[list[Box]] = [[] for _ in images]
        for target, members in shapes.items():
            for start in range(0, len(members), self._max_batch):
                batch = members[start : start + self._max_batch]
                maps = self._probabilities([images[index] for index in batch], target)
                for index, each in zip(batch, maps, strict=True):
                    found[index] = self._boxes(each, images[index].shape[1], images[index].shape[0])
        return found

    def find(self, image: np.ndarray, target: tuple[int, int]) -> list[Box]:
        """The boxes of one image as seen at the size `target`: width, height, whole strides.

        Raises:
            EngineError: the model failed.
        """
        (found,) = self._probabilities([image], target)
        return self._boxes(found, image.shape[1], image.shape[0])

    def warm_up(self) -> None:
        """Run the extremes of every dimension, so that a TensorRT engine is built once for all."""
        side = network_size(self._max_side, self._max_side, self._max_side)[0]
        for shape in ((1, 3, STRIDE, STRIDE), (self._max_batch, 3, side, side)):
            self._session.run({self._session.inputs[0]: np.zeros(shape, np.float32)})

    def _probabilities(self, images: list[np.ndarray], target: tuple[int, int]) -> np.ndarray:
        resized = [resize(image, target) for image in images]
        # PP-OCR: BGR, (x / 255 - 0.5) / 0.5, channels first.
        blob = cv2.dnn.blobFromImages(resized, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)
        maps = self._session.run({self._session.inputs[0]: blob})[0]
        if maps.shape != (len(images), 1, target[1], target[0]):
            raise EngineError(f"the text detector answered {maps.shape} to {blob.shape}")
        probabilities: np.ndarray = maps[:, 0]
        return probabilities

    def _boxes(self, probabilities: np.ndarray, width: int, height: int) -> list[Box]:
        rectangles = sorted(text_rectangles(probabilities), key=lambda pair: -pair[0])
        scale = np.array([width, height], np.float32) / probabilities.shape[::-1]
        limit = np.array([width, height], np.float32)
        boxes = []
        for score, rectangle in rectangles[: self.max_boxes]:
            quad = upright(np.clip(cv2.boxPoints(rectangle) * scale, 0, limit))
            if min(np.ptp(quad, axis=0)) > MIN_SIDE:
                boxes.append(Box(quad, score))
        return boxes


def network_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height at which the network looks: within `max_side`, multiples of `STRIDE`."""
    ratio = min(1.0, max_side / max(width, height))
    return _strides(width * ratio, max_side), _strides(height * ratio, max_side)


def _strides(side: float, limit: int) -> int:
    return STRIDE * max(1, min(round(side / STRIDE), limit // STRIDE))


def resize(image: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    """`image` at the size `target` (width, height); thin strokes survive a strong reduction."""
    shrinks = 2 * target[0] <= image.shape[1] and 2 * target[1] <= image.shape[0]
    small: np.ndarray = cv2.resize(
        image, target, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return small


Rectangle = tuple[Sequence[float], tuple[float, float], float]


def text_rectangles(probabilities: np.ndarray) -> list[tuple[float, Rectangle]]:
    """Score and rotated rectangle (centre, size, degrees) of each text line in an H x W map."""
    mask = cv2.dilate((probabilities > THRESHOLD).view(np.uint8), _KERNEL)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) > MAX_CONTOURS:
        contours = sorted(contours, key=cv2.contourArea, reverse=True)[:MAX_CONTOURS]
    found = []
    for contour in contours:
        centre, (width, height), degrees = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE:
            continue
        score = mean_inside(probabilities, cv2.boxPoints((centre, (width, height), degrees)))
        if score < BOX_THRESHOLD:
            continue
        # The paper's offset by D = A r / L. Of a rectangle, the offset's own smallest rectangle is
        # the same one, D longer on each side: no polygon clipping is needed.
        grown = width * height * UNCLIP / (width + height)
        found.append((score, (centre, (width + grown, height + grown), degrees)))
    return found


def mean_inside(probabilities: np.ndarray, corners: np.ndarray) -> float:
    """Mean of the map inside a polygon of n x 2 corners."""
    height, width = probabilities.shape
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width - 1, height - 1)).astype(int)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(probabilities[top : bottom + 1, left : right + 1], mask)[0])
