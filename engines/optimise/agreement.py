"""An optimised model beside its original on the same photographs: does it say the same?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.catalogue.model import Task
from engines.detection import Detector, load_labels
from engines.errors import EngineError
from engines.ocr import models
from engines.ocr.detector import TextDetector
from engines.ocr.geometry import along_text, crop
from engines.ocr.orientation import OrientationClassifier
from engines.ocr.recogniser import TextRecogniser
from engines.optimise import measures
from engines.session import Session
from engines.tagging import Tagger
from engines.tagging import load_labels as load_classes

Prepare = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Measure = Callable[[Session, Session, Sequence[np.ndarray]], float]

_SURE_BOX, _SEEN_BOX = 0.5, 0.4
_SURE_TAG, _SEEN_TAG = 0.15, 0.1


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a model agrees with its original.

    Attributes:
        measure: what `value` is, in words.
        value: in [0, 1]; 1: the same.
        bound: the least that is accepted.
    """

    measure: str
    value: float
    bound: float

    @property
    def ok(self) -> bool:
        return self.value >= self.bound

    def __str__(self) -> str:
        return f"{self.measure} {self.value:.4f}, at least {self.bound:g} is asked for"


def agreement(
    task: Task,
    reference: Session,
    candidate: Session,
    photographs: Sequence[np.ndarray],
    *,
    prepare: Prepare | None = None,
    bound: float | None = None,
) -> Agreement:
    """Run both over the photographs, with the task's own preparation and post-processing.

    Args:
        photographs: H x W x 3, uint8, RGB, upright. For the OCR's models, with text on them.
        prepare: one photograph to a model's inputs. With it the models' bare outputs are compared
            by their cosine, whatever the task: for models whose task has no measure of its own
            here, and for embeddings by another model than the starter's.
        bound: the least that is accepted; None: the task's own.

    Raises:
        EngineError: a model failed; there are no photographs, or nothing on them to compare; the
            task needs `prepare`.
    """
    if not photographs:
        raise EngineError("agreement needs photographs")
    if prepare is not None:
        value = min(_outputs(reference, candidate, prepare(each)) for each in photographs)
        return Agreement("cosine of the outputs, the least", value, _bound(bound, 0.99))
    if task not in _MEASURES:
        raise EngineError(f"{task} has no measure of its own: pass how to prepare a photograph")
    name, usual, measure = _MEASURES[task]
    return Agreement(name, measure(reference, candidate, photographs), _bound(bound, usual))


def check(what: str, found: Agreement) -> None:
    """Refuse a model that says other things than its original.

    Raises:
        EngineError: with the figure.
    """
    if not found.ok:
        raise EngineError(f"{what} is refused: {found}")


def _bound(asked: float | None, usual: float) -> float:
    return usual if asked is None else asked


def _mean(values: Sequence[float], what: str) -> float:
    if not values:
        raise EngineError(f"there is nothing to compare: no {what} on these photographs")
    return sum(values) / len(values)


def _outputs(reference: Session, candidate: Session, feeds: Mapping[str, np.ndarray]) -> float:
    pairs = zip(reference.run(feeds), candidate.run(feeds), strict=True)
    return min(measures.cosine(first, second) for first, second in pairs)


def _detection(reference: Session, candidate: Session, photographs: Sequence[np.ndarray]) -> float:
    prepared = [Detector.prepare(each) for each in photographs]
    names = load_labels()
    some, others = (
        [Detector(session, names, score=_SEEN_BOX).run([each])[0] for each in prepared]
        for session in (reference, candidate)
    )
    found: list[float] = []
    for pair in zip(some, others, strict=True):
        first, second = (
            [(box.label, box.score, (box.x0, box.y0, box.x1, box.y1)) for box in side]
            for side in pair
        )
        found += measures.boxes(first, second, _SURE_BOX)
    return _mean(found, "object")


def _tagging(reference: Session, candidate: Session, photographs: Sequence[np.ndarray]) -> float:
    prepared = [Tagger.prepare(each) for each in photographs]
    classes = load_classes()
    some, others = (
        [Tagger(session, classes, score=_SEEN_TAG).run([each])[0].tags for each in prepared]
        for session in (reference, candidate)
    )
    found: list[float] = []
    for pair in zip(some, others, strict=True):
        first, second = ([(tag.label, tag.score) for tag in side] for side in pair)
        found += measures.labels(first, second, _SURE_TAG)
    return _mean(found, "tag")


def _embedding(reference: Session, candidate: Session, photographs: Sequence[np.ndarray]) -> float:
    """Of the starter's embedding, which sees the whole frame."""
    place = reference.outputs.index("embedding") if "embedding" in reference.outputs else 0
    values = []
    for each in photographs:
        feeds = {reference.inputs[0]: Tagger.prepare(each)[1:]}
        first, second = (session.run(feeds)[place] for session in (reference, candidate))
        values.append(measures.cosine(first, second))
    return min(values)


def _text_boxes(reference: Session, candidate: Session, photographs: Sequence[np.ndarray]) -> float:
    found: list[float] = []
    for each in photographs:
        first, second = (
            [("", 1.0, _rectangle(box.quad)) for box in TextDetector(session).detect([each])[0]]
            for session in (reference, candidate)
        )
        found += measures.boxes(first, second, 0)
    return _mean(found, "text")


def _rectangle(quad: np.ndarray) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = quad.min(0), quad.max(0)
    return float(left), float(top), float(right), float(bottom)


def _crops(photographs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The lines of text, found by the package's own detector."""
    detector = TextDetector(Session(models.find(models.DETECTOR)))
    crops = [
        crop(image, along_text(box.quad))
        for image in photographs
        for box in detector.detect([image])[0]
    ]
    if not crops:
        raise EngineError("there is nothing to compare: no text on these photographs")
    return crops


def _text(reference: Session, candidate: Session, photographs: Sequence[np.ndarray]) -> float:
    crops = _crops(photographs)
    some, others = (
        [text for text, _ in TextRecogniser(session).recognise(crops)]
        for session in (reference, candidate)
    )
    return measures.characters(some, others)


def _orientation(
    reference: Session, candidate: Session, photographs: Sequence[np.ndarray]
) -> float:
    crops = _crops(photographs)
    crops += [cv2.rotate(each, cv2.ROTATE_180) for each in crops]
    some, others = (
        OrientationClassifier(session).overturned(crops) for session in (reference, candidate)
    )
    return _mean([float(one == other) for one, other in zip(some, others, strict=True)], "text")


_MEASURES: Mapping[Task, tuple[str, float, Measure]] = {
    "detection": ("IoU of boxes of the same label", 0.9, _detection),
    "tagging": ("tags that both have", 0.9, _tagging),
    "embedding": ("cosine of the embeddings, the least", 0.99, _embedding),
    "ocr-detection": ("IoU of text boxes", 0.85, _text_boxes),
    "ocr-recognition": ("characters read the same", 0.98, _text),
    "ocr-orientation": ("lines turned the same", 0.99, _orientation),
}
