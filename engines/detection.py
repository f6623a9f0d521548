"""Object detection: what of COCO's 80 categories is in a picture, and where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.session import Session

WEIGHTS = Path(__file__).parent / "weights" / "coco_ssd_lite_mobilenet_v2.onnx"
LABELS = Path(__file__).parent / "labels" / "coco.json"
SIDE = 300
_MAX_CANDIDATES = 1000
_SAME_PLACE = 0.85


@dataclass(slots=True, frozen=True)
class Box:
    """One object. Coordinates in [0, 1], origin top left."""

    label: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float


def load_labels() -> list[str | None]:
    """COCO's categories by their id, 0 to 90; None where COCO skips an id."""
    labels: list[str | None] = json.loads(LABELS.read_text("utf-8"))
    return labels


class Detector:
    """SSDLite-MobileNetV2 over the picture and its mirror image.

    What is there is seen in both; most of what is imagined is seen in one. So a box's score is
    the mean of its scores in the two views, 0 where a view does not have it. It costs a second
    inference. By eye, on about 50 pictures: a sandwich, a frisbee, cakes and boats that are not
    there went below .5, a dog that is there came above it. No mAP was measured.

    Args:
        session: of `WEIGHTS`, or a model with its inputs and outputs.
        labels: names by class id, None for ids without one.
        score: boxes below are dropped. What is false at .5 still (a page of text taken for a
            refrigerator, .6; a yellow flower for a banana, .8) lies among the true ones.
        iou: boxes of one class that overlap more are one object, and so are boxes of the two
            views. SSD's own .45 (arXiv 1512.02325, 2.2) counts some single objects twice.
        max_boxes: kept for one picture, the best.
    """

    def __init__(
        self,
        session: Session,
        labels: Sequence[str | None],
        *,
        score: float = 0.5,
        iou: float = 0.4,
        max_boxes: int = 100,
    ) -> None:
        self._session = session
        self._labels = labels
        self._named = np.array([label is not None for label in labels[1:]])
        self._score = score
        self._iou = iou
        self._max_boxes = max_boxes

    @staticmethod
    def prepare(pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes: the whole picture at 300 x 300."""
        # Bilinear as in training; alone it would skip pixels where it shrinks by more than two.
        shrinks = min(pixels.shape[:2]) >= 2 * SIDE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=how), np.uint8)

    def run(self, batch: Sequence[np.ndarray]) -> list[list[Box]]:
        """The boxes of each prepared picture, highest score first.

        Raises:
            EngineError: inference failed.
        """
        if not batch:
            return []
        views = np.stack([view for image in batch for view in (image, image[:, ::-1])])
        boxes, scores = self._session.run({"image": views})
        boxes[1::2, :, [0, 2]] = 1 - boxes[1::2, :, [2, 0]]
        return [self._found(boxes[i : i + 2], scores[i : i + 2]) for i in range(0, len(views), 2)]

    def _found(self, boxes: np.ndarray, scores: np.ndarray) -> list[Box]:
        """Boxes of one picture from its two views' anchors: 2 x N x 4 and 2 x N x classes."""
        # A sight that would not keep half of the threshold's weight counts as not seen.
        view, anchor, which = np.nonzero((scores > self._score * 0.4) & self._named)
        corners = boxes[view, anchor].clip(0, 1)
        value = scores[view, anchor, which]
        usable = np.isfinite(corners).all(1) & (corners[:, 2:] - corners[:, :2] > 1e-3).all(1)
        best = np.flatnonzero(usable)[np.argsort(-value[usable], kind="stable")][:_MAX_CANDIDATES]
        if best.size == 0:
            return []
        view, which, corners, value = view[best], which[best], corners[best], value[best]
        kept = suppress(corners, value, which, self._iou)
        same = (overlap(corners[kept], corners) >= self._iou) & (which[kept, None] == which)
        mean = sum(np.where(same & (view == side), value, 0).max(1) for side in (0, 1)) / 2
        sure = mean >= self._score
        kept, mean = kept[sure], mean[sure]
        # A couch that is a chair too, at the very same place, is one thing with one name.
        chosen = suppress(corners[kept], mean, np.zeros_like(kept), _SAME_PLACE)
        return [
            Box(
                str(self._labels[which[kept[i]] + 1]),
                float(mean[i]),
                *(float(x) for x in corners[kept[i]]),
            )
            for i in chosen[: self._max_boxes]
        ]


def suppress(corners: np.ndarray, scores: np.ndarray, groups: np.ndarray, iou: float) -> np.ndarray:
    """Non-maximum suppression within each group: indices of what is kept, highest score first.

    Args:
        corners: N x 4, x0 y0 x1 y1.
        scores, groups: N.
        iou: of two boxes that overlap more, the lower is dropped.
    """
    if len(scores) == 0:
        return np.zeros(0, np.intp)
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    # Nested lists: the binding takes no arrays.
    kept = cv2.dnn.NMSBoxesBatched(sides.tolist(), scores.tolist(), groups.tolist(), 0.0, iou)
    best: np.ndarray = np.asarray(kept, np.intp).reshape(-1)
    return np.take(best, np.argsort(-scores[best], kind="stable"))


def overlap(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (x0 y0 x1 y1): M x 4 and N x 4 to M x N."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = (high - low).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (some, others)]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None] - shared).clip(1e-12))
