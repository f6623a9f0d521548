"""The whole of it: images in, lines of text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import cv2
import numpy as np

from engines.catalogue import catalogue
from engines.manifest import Precision
from engines.ocr import models
from engines.ocr.detector import TextDetector, resize
from engines.ocr.geometry import along_text, crop, overturned
from engines.ocr.order import reading_order
from engines.ocr.orientation import OrientationClassifier
from engines.ocr.recogniser import TextRecogniser
from engines.ocr.zoom import ZoomingDetector
from engines.precisions import Asked, chosen
from engines.session import Provider, Session

# Small text is recognised better from more pixels than it takes to find it; beyond twice as many
# nothing is gained.
CROP_SCALE = 2
# A crop read worse than this may stand on its head.
DOUBTFUL = 0.97
_SPEEDS = get_args(Provider)  # the slowest first
# Score that a text needs, by how many different letters and digits it has (at least): texture is
# read as "8", "***" or "0000", now and then with a high score.
NEEDED = ((4, 0.8), (2, 0.9), (1, 0.99))


@dataclass(slots=True, frozen=True)
class Line:
    """One line of text, letter for letter.

    Attributes:
        text: without spaces around it.
        score: mean probability of its characters, in [0, 1].
        polygon: x, y of four corners in [0, 1], clockwise from the text's own top left.
    """

    text: str
    score: float
    polygon: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class _Read:
    image: int
    quad: np.ndarray
    crop: np.ndarray
    text: str = ""
    score: float = 0.0


class Reader:
    """Reads images. Safe to call from several threads; one `read` runs in the caller's.

    Args:
        detector, recogniser: find the lines and read them.
        classifier: finds the crops on their head among those read badly; None: they stay so.
        max_side: that of the detector; crops are cut at up to `CROP_SCALE` times the scale.
        provider: the one that really runs; where a fallback has parted the three, the slowest.
        weights: their version.
        precision: of their arithmetic.
    """

    def __init__(
        self,
        detector: TextDetector | ZoomingDetector,
        recogniser: TextRecogniser,
        classifier: OrientationClassifier | None,
        *,
        max_side: int = 960,
        provider: str = "cpu",
        weights: str = "",
        precision: Precision = "fp32",
    ) -> None:
        self.provider = provider
        self.weights = weights
        self.precision = precision
        self._detector = detector
        self._recogniser = recogniser
        self._classifier = classifier
        self._limit = CROP_SCALE * max_side

    @classmethod
    def load(
        cls,
        *,
        provider: Provider = "cpu",
        max_side: int = 960,
        max_batch: int = 8,
        threads: int = 1,
        allow_fallback: bool = False,
        precision: Asked = "auto",
    ) -> Reader:
        """A reader with the package's weights. OpenCV is given one thread.

        Args:
            provider: on the CPU it chooses the size at which it looks by what is in the picture
                (`engines.ocr.zoom`).
            threads: of one run. One is best where several reads share the cores.
            precision: of detector and recogniser, see `engines.precisions.chosen`. The
                classifier stays in FP32 on the CPU, where 8 bits make it slower.

        Raises:
            EngineError: weights or provider cannot be had.
        """
        cv2.setNumThreads(1)  # process-wide: several reads share the cores
        on_cpu = provider == "cpu"
        *entries, last = (catalogue()[name] for name in models.ENTRIES)
        paths, ran = chosen(entries, precision, provider=provider)
        (path,), other = chosen([last], "fp32" if on_cpu else precision, provider=provider)
        find, read, turn = (
            Session(
                file,
                provider=provider,
                threads=threads,
                allow_fallback=allow_fallback,
                contract=model.serving(max_batch, max_side),
                precision=each,
            )
            for file, model, each in zip(
                [*paths, path], [*entries, last], [ran, ran, other], strict=True
            )
        )
        whole = TextDetector(find, max_side=max_side, max_batch=1 if on_cpu else max_batch)
        detector = ZoomingDetector(whole, max_side=max_side) if on_cpu else whole
        recogniser = TextRecogniser(read, max_batch=max_batch)
        classifier = OrientationClassifier(turn)
        if not on_cpu:
            whole.warm_up()
            recogniser.warm_up()
            classifier.warm_up()
        return cls(
            detector,
            recogniser,
            classifier,
            max_side=max_side,
            provider=min(find.provider, read.provider, turn.provider, key=_SPEEDS.index),
            weights=models.weights_version(ran),
            precision=ran,
        )

    def read(self, images: Sequence[np.ndarray]) -> list[list[Line]]:
        """For each image (H x W x 3, uint8, RGB, upright) its lines of text in reading order.

        Raises:
            EngineError: a model failed.
        """
        bounded = [self._bounded(image) for image in images]
        reads = [
            _Read(index, quad, crop(bounded[index], quad))
            for index, boxes in enumerate(self._detector.detect(bounded))
            for quad in (along_text(box.quad) for box in boxes)
        ]
        self._recognise(reads)
        self._turn_over([each for each in reads if each.score < DOUBTFUL])
        kept: list[list[_Read]] = [[] for _ in images]
        for each in reads:
            if is_text(each.text, each.score):
                kept[each.image].append(each)
        return [
            _lines(found, image.shape[1], image.shape[0])
            for found, image in zip(kept, bounded, strict=True)
        ]

    def _bounded(self, image: np.ndarray) -> np.ndarray:
        """`image`, reduced if it is larger than what reading gains by. Bounds every crop."""
        height, width = image.shape[:2]
        ratio = self._limit / max(width, height)
        if ratio >= 1:
            return np.ascontiguousarray(image)
        return resize(image, (max(1, round(width * ratio)), max(1, round(height * ratio))))

    def _recognise(self, reads: Sequence[_Read]) -> None:
        texts = self._recogniser.recognise([each.crop for each in reads])
        for each, (text, score) in zip(reads, texts, strict=True):
            each.text, each.score = text.strip(), score

    def _turn_over(self, doubtful: Sequence[_Read]) -> None:
        """Read those that stand on their head the other way, and keep what reads better."""
        if self._classifier is None or not doubtful:
            return
        answers = self._classifier.overturned([each.crop for each in doubtful])
        turned = [
            _Read(each.image, overturned(each.quad), cv2.rotate(each.crop, cv2.ROTATE_180))
            for each, answer in zip(doubtful, answers, strict=True)
            if answer
        ]
        self._recognise(turned)
        before = (each for each, answer in zip(doubtful, answers, strict=True) if answer)
        for old, new in zip(before, turned, strict=True):
            if new.score > old.score:
                old.quad, old.crop, old.text, old.score = new.quad, new.crop, new.text, new.score


def is_text(text: str, score: float) -> bool:
    """Whether a read is text, and not texture that looks like it."""
    different = len({each for each in text.casefold() if each.isalnum()})
    return any(different >= least and score >= needed for least, needed in NEEDED)


def _lines(found: Sequence[_Read], width: int, height: int) -> list[Line]:
    scale = np.array([width, height], np.float32)
    return [
        Line(
            found[index].text,
            found[index].score,
            tuple((float(x), float(y)) for x, y in np.clip(found[index].quad / scale, 0, 1)),
        )
        for index in reading_order([each.quad for each in found])
    ]
