"""An open-vocabulary detector, OWLv2: where in a picture is what these words say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.detection import Box
from engines.full.boxes import found
from engines.full.card import Card
from engines.full.pictures import prepare, stretch
from engines.full.texts import Texts
from engines.session import Session

PROMPT = "a photo of a {}"  # of OWL-ViT's authors, arXiv 2205.06230, appendix A1.3
_STEP = 8  # queries are padded to a multiple: fewer shapes for an engine to be tuned to


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A prepared picture, what is looked for in it, and `pictures.stretch` of it."""

    image: np.ndarray
    labels: tuple[str, ...]
    queries: np.ndarray
    stretch: np.ndarray


class OpenVocabulary:
    """Args:
    session: of an export's `owlv2-image`.
    card: the one beside it.
    texts: of the same model's text tower.
    score: boxes below are dropped. `transformers` takes .1; its scores are low.
    iou: of two boxes of one label that overlap more, the lower is dropped: unlike DETR it may see
        one object in several patches. On the host, among the few that are left: the output of
        NonMaxSuppression has a size that depends on the data, which rules out CUDA graphs and
        buffers made ahead.
    max_boxes: kept for one picture, the best.
    """

    def __init__(
        self,
        session: Session,
        card: Card,
        texts: Texts,
        *,
        score: float = 0.2,
        iou: float = 0.5,
        max_boxes: int = 100,
    ) -> None:
        self._session = session
        self._picture = card.pictured()
        self._texts = texts
        self._score = score
        self._iou = iou
        self._max_boxes = max_boxes

    def prepare(self, pixels: np.ndarray, labels: Sequence[str]) -> Question:
        """Args: `pixels`, H x W x 3 RGB uint8; `labels`, at least one, in words.

        Raises:
            EngineError: the text tower failed.
        """
        queries = self._texts.embed([PROMPT.format(label) for label in labels])
        return Question(prepare(pixels, self._picture), tuple(labels), queries, stretch(pixels))

    def run(self, batch: Sequence[Question]) -> list[list[Box]]:
        """The boxes of each picture, highest score first.

        Raises:
            EngineError: inference failed.
        """
        if not batch:
            return []
        most = max(len(question.labels) for question in batch)
        width = -(-most // _STEP) * _STEP
        queries = np.zeros((len(batch), width, batch[0].queries.shape[1]), np.float32)
        for row, question in zip(queries, batch, strict=True):
            row[: len(question.labels)] = question.queries
        images = np.stack([question.image for question in batch])
        boxes, scores = self._session.run({"image": images, "queries": queries})
        return [
            found(
                corners * question.stretch,
                values[:, : len(question.labels)],
                question.labels,
                score=self._score,
                limit=self._max_boxes,
                iou=self._iou,
            )
            for corners, values, question in zip(boxes, scores, batch, strict=True)
        ]
