"""A closed-set detector of DETR's kin: RT-DETR, RT-DETRv2, D-FINE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.detection import Box
from engines.full.boxes import found
from engines.full.card import Card
from engines.full.pictures import prepare
from engines.session import Session


class DetrDetector:
    """Its set of boxes holds each object once (arXiv 2005.12872): no suppression.

    Args:
        session: of an export's `rt-detr-v2`.
        card: the one beside it.
        score: boxes below are dropped; .5 is `transformers`' default.
        max_boxes: kept for one picture, the best.
    """

    def __init__(
        self, session: Session, card: Card, *, score: float = 0.5, max_boxes: int = 100
    ) -> None:
        self._session = session
        self._labels = card.labels
        self._picture = card.pictured()
        self._score = score
        self._max_boxes = max_boxes

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes."""
        return prepare(pixels, self._picture)

    def run(self, batch: Sequence[np.ndarray]) -> list[list[Box]]:
        """The boxes of each prepared picture, highest score first.

        Raises:
            EngineError: inference failed.
        """
        if not batch:
            return []
        boxes, scores = self._session.run({"image": np.stack(batch)})
        return [
            found(corners, values, self._labels, score=self._score, limit=self._max_boxes)
            for corners, values in zip(boxes, scores, strict=True)
        ]
