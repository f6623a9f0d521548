"""Which lines of text stand on their head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.ocr.recogniser import HEIGHT, normalise, scaled_width
from engines.session import Session

WIDTH = 192
MAX_BATCH = 32
THRESHOLD = 0.9


class OrientationClassifier:
    """Tells upright crops from those turned by 180 degrees. Safe to call from several threads.

    Args:
        session: PP-OCR's text line classifier: n x 3 x 48 x 192 in, n x 2 probabilities out.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def warm_up(self) -> None:
        """Run the extremes of every dimension, so that a TensorRT engine is built once for all."""
        for count in (1, MAX_BATCH):
            batch = np.zeros((count, 3, HEIGHT, WIDTH), np.float32)
            self._session.run({self._session.inputs[0]: batch})

    def overturned(self, crops: Sequence[np.ndarray]) -> list[bool]:
        """For each crop (h x w x 3, uint8, RGB), whether it surely stands on its head.

        Raises:
            EngineError: the model failed.
        """
        answers: list[bool] = []
        for start in range(0, len(crops), MAX_BATCH):
            chunk = crops[start : start + MAX_BATCH]
            batch = np.zeros((len(chunk), 3, HEIGHT, WIDTH), np.float32)
            for row, crop in zip(batch, chunk, strict=True):
                width = min(WIDTH, scaled_width(crop))
                row[:, :, :width] = normalise(crop, width)
            scores = self._session.run({self._session.inputs[0]: batch})[0]
            answers += [bool(each > THRESHOLD) for each in scores[:, 1]]
        return answers
