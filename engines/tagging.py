"""Image tags: what of ImageNet's 1000 classes a picture shows, and what kinds these are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.session import Session

WEIGHTS = Path(__file__).parent / "weights" / "efficientnet_lite0.onnx"
LABELS = Path(__file__).parent / "labels" / "imagenet.json"
SIDE = 224
CROP = 0.875
# The centre crop is the view of the network's training; the whole frame, if squeezed, sees what
# lies beside it. Weighed two to one they name fewer wrong things in examples/ than either does
# alone: about 7 against 10 and 10, counted by eye.
_WEIGHTS_OF_VIEWS = np.array([2, 1], np.float32) / 3


@dataclass(slots=True, frozen=True)
class ClassName:
    """A class's name, and the coarser nouns that it falls under."""

    label: str
    kinds: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Tag:
    label: str
    score: float


@dataclass(slots=True, frozen=True)
class Tags:
    """Highest score first. A kind's score is the sum of its classes' (tabby, tiger cat: cat)."""

    tags: list[Tag]
    kinds: list[Tag]


def load_labels() -> list[ClassName]:
    """The 1000 classes in the usual order."""
    entries = json.loads(LABELS.read_text("utf-8"))
    return [ClassName(entry["label"], tuple(entry["kinds"])) for entry in entries]


class Tagger:
    """EfficientNet-Lite0 over two views of the picture, their logits averaged.

    Args:
        session: of `WEIGHTS`, or a model with its input and a first output of logits.
        labels: in the order of the logits.
        score: tags below are dropped.
        kind_score: kinds below are dropped. Corrected for chance, as Cohen's kappa is: of the
            classes 4 in 10 are animals, so a network that sees nothing says animal .4.
    """

    def __init__(
        self,
        session: Session,
        labels: Sequence[ClassName],
        *,
        score: float = 0.15,
        kind_score: float = 0.3,
    ) -> None:
        self._session = session
        self._labels = [each.label for each in labels]
        self._kinds = sorted({kind for each in labels for kind in each.kinds})
        places = {kind: place for place, kind in enumerate(self._kinds)}
        self._membership = np.zeros((len(labels), len(self._kinds)), np.float32)
        for row, each in enumerate(labels):
            self._membership[row, [places[kind] for kind in each.kinds]] = 1
        self._score = score
        chance = self._membership.mean(0)
        self._kind_scores = chance + (1 - chance) * kind_score

    @staticmethod
    def prepare(pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes: 2 x 224 x 224 x 3, centre crop and whole."""
        height, width = pixels.shape[:2]
        side = max(1, round(min(height, width) * CROP))
        top, left = (height - side) // 2, (width - side) // 2
        crop = pixels[top : top + side, left : left + side]
        return np.stack([_resize(crop), _resize(pixels)])

    def run(self, batch: Sequence[np.ndarray]) -> list[Tags]:
        """Tags and kinds of each prepared picture.

        Raises:
            EngineError: inference failed.
        """
        if not batch:
            return []
        logits = self._session.run({"image": np.concatenate(batch)})[0]
        logits = np.einsum("nvc,v->nc", logits.reshape(len(batch), 2, -1), _WEIGHTS_OF_VIEWS)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        shares = odds / odds.sum(1, keepdims=True)
        return [
            Tags(
                _highest(self._labels, share, self._score),
                _highest(self._kinds, (share @ self._membership).clip(0, 1), self._kind_scores),
            )
            for share in shares
        ]


def _resize(pixels: np.ndarray) -> np.ndarray:
    """To 224 x 224: bicubic, but by area where it shrinks so far that bicubic skips pixels."""
    how = cv2.INTER_AREA if min(pixels.shape[:2]) >= 2 * SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=how), np.uint8)


def _highest(names: Sequence[str], scores: np.ndarray, least: float | np.ndarray) -> list[Tag]:
    enough = scores >= least
    order = np.argsort(-scores, kind="stable")
    return [Tag(names[i], float(scores[i])) for i in order if enough[i]]
