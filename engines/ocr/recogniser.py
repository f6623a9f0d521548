"""What the text says: one line of text to characters, decoded by CTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from engines.errors import EngineError
from engines.session import Session

HEIGHT = 48
MIN_WIDTH = 48
MAX_WIDTH = 2400  # a longer line is squeezed
# Padded width of a whole batch; bounds memory: the output has 18710 floats for every 8th column.
MAX_COLUMNS = 2 * MAX_WIDTH


class TextRecogniser:
    """Reads crops of one text line each. Safe to call from several threads.

    Crops of like width share a batch, whatever image they are from: time is linear in the padded
    width, so that padding to PP-OCR's fixed 320 pixels would cost a short word threefold.

    Args:
        session: a PP-OCR recogniser: n x 3 x 48 x W in, n x T x C probabilities out, and the C - 2
            characters between blank and space in its metadata.
        max_batch: crops in one run.

    Raises:
        EngineError: the model brings no character set.
    """

    def __init__(self, session: Session, *, max_batch: int = 8) -> None:
        self._session = session
        self._max_batch = max_batch
        if "character" not in session.metadata:
            raise EngineError("the text recogniser's metadata holds no character set")
        self._characters = ["", *session.metadata["character"].split("\n"), " "]

    def recognise(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Text and score of each crop (h x w x 3, uint8, RGB).

        The score is the mean probability of the characters, 0 where there is none.

        Raises:
            EngineError: the model failed, or does not fit its character set.
        """
        read: list[tuple[str, float]] = [("", 0.0)] * len(crops)
        widths = [scaled_width(crop) for crop in crops]
        for width, members in self._batches(widths):
            batch = np.zeros((len(members), 3, HEIGHT, width), np.float32)
            for row, index in zip(batch, members, strict=True):
                row[:, :, : widths[index]] = normalise(crops[index], widths[index])
            scores = self._session.run({self._session.inputs[0]: batch})[0]
            if scores.shape[2] != len(self._characters):
                raise EngineError(
                    f"the text recogniser knows {scores.shape[2]} classes and brings "
                    f"{len(self._characters)} characters"
                )
            for index, each in zip(members, scores, strict=True):
                read[index] = self._decode(each)
        return read

    def warm_up(self) -> None:
        """Run the extremes of every dimension, so that a TensorRT engine is built once for all."""
        for count, width in ((1, MAX_WIDTH), (self._max_batch, MIN_WIDTH)):
            batch = np.zeros((count, 3, HEIGHT, width), np.float32)
            self._session.run({self._session.inputs[0]: batch})

    def _batches(self, widths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Padded width and members of each batch, narrow ones first."""
        members: list[int] = []
        for index in sorted(range(len(widths)), key=widths.__getitem__):
            padded = bucket(widths[index])
            full = len(members) == self._max_batch or (len(members) + 1) * padded > MAX_COLUMNS
            if members and (full or bucket(widths[members[0]]) != padded):
                yield bucket(widths[members[0]]), members
                members = []
            members.append(index)
        if members:
            yield bucket(widths[members[0]]), members

    def _decode(self, probabilities: np.ndarray) -> tuple[str, float]:
        """CTC's best path (Graves et al. 2006) through T x C probabilities; class 0 is blank."""
        best = probabilities.argmax(axis=1)
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        (steps,) = np.nonzero(kept)
        if not steps.size:
            return "", 0.0
        text = "".join(self._characters[label] for label in best[steps])
        return text, min(1.0, float(probabilities[steps, best[steps]].mean()))


def scaled_width(crop: np.ndarray) -> int:
    """Width of a crop that is scaled to `HEIGHT`, in pixels."""
    return int(np.clip(-(-HEIGHT * crop.shape[1] // crop.shape[0]), 8, MAX_WIDTH))


def bucket(width: int) -> int:
    """The padded width: few different ones, none more than an eighth or so too wide."""
    step = 16 if width <= 256 else 32 if width <= 512 else 96
    return max(MIN_WIDTH, -(-width // step) * step)


def normalise(crop: np.ndarray, width: int, height: int = HEIGHT) -> np.ndarray:
    """The crop at that size as PP-OCR wants it: 3 x height x width, BGR, in [-1, 1]."""
    shrinks = crop.shape[0] >= 2 * height and crop.shape[1] >= 2 * width
    small = cv2.resize(
        crop, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    blob = cv2.dnn.blobFromImage(small, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)
    image: np.ndarray = blob[0]
    return image
