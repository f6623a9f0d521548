"""The priors as the rules want them: checked, bounded, cleaned. Never raises on bad findings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.captions.compose.quotes import clean
from engines.captions.compose.vocabulary import chain

_MAX_BOXES = 300
_MAX_TAGS = 50
_MAX_LINES = 400
_MAX_STATEMENTS = 20
_LABEL = re.compile(r"[^\W\d_][\w '\-.&/]{0,39}")  # of any detector: a short name and no more


@dataclass(slots=True, frozen=True)
class Box:
    """x0 y0 x1 y1 in [0, 1], origin top left."""

    label: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def cx(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def cy(self) -> float:
        return (self.y0 + self.y1) / 2

    def shared(self, other: Box) -> float:
        """Area that both cover."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: Box) -> float:
        shared = self.shared(other)
        return shared / max(self.area + other.area - shared, 1e-9)

    def inside(self, other: Box) -> float:
        """Share of this box that lies in `other`."""
        return self.shared(other) / max(self.area, 1e-9)


@dataclass(slots=True, frozen=True)
class Line:
    """A line of text and the upright box around it; `size` is its height along the page."""

    text: str
    score: float
    box: Box
    size: float


@dataclass(slots=True, frozen=True)
class Statement:
    text: str
    source: str


@dataclass(slots=True)
class Evidence:
    """`scores` has the classifier's classes and kinds together; `tags` are its classes by rank."""

    boxes: list[Box] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    width: int = 0
    height: int = 0


def read(image: Mapping[str, Any], priors: Mapping[str, Mapping[str, Any]]) -> Evidence:
    """All that the caption may rest on. A failed or broken prior counts as absent."""
    tags, scores = _tagging(_findings(priors, "tagging"))
    return Evidence(
        boxes=sorted(
            _boxes(_findings(priors, "detection")),
            key=lambda box: (-box.score, box.label, box.x0, box.y0, box.x1, box.y1),
        ),
        tags=tags,
        scores=scores,
        lines=list(_lines(_findings(priors, "ocr"))),
        statements=list(_statements(_findings(priors, "knowledge"), image)),
        width=int(_number(image.get("width"))),
        height=int(_number(image.get("height"))),
    )


def _findings(priors: Mapping[str, Mapping[str, Any]], expert: str) -> Mapping[str, Any]:
    prior = priors.get(expert)
    if not isinstance(prior, Mapping) or prior.get("status") != "ok":
        return {}
    findings = prior.get("findings")
    return findings if isinstance(findings, Mapping) else {}


def _entries(findings: Mapping[str, Any], name: str, most: int) -> Iterator[Mapping[str, Any]]:
    entries = findings.get(name)
    if isinstance(entries, Sequence) and not isinstance(entries, str | bytes):
        yield from (entry for entry in entries[:most] if isinstance(entry, Mapping))


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        return 0.0
    try:
        return float(value) if math.isfinite(value) else 0.0
    except OverflowError:  # an int beyond any float
        return 0.0


def _unit(value: object) -> float:
    return min(max(_number(value), 0.0), 1.0)


def _label(value: object) -> str:
    """A label that may stand in a caption, or "" for anything else."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if _LABEL.fullmatch(text) else ""


def _boxes(findings: Mapping[str, Any]) -> Iterator[Box]:
    for entry in _entries(findings, "boxes", _MAX_BOXES):
        label = _label(entry.get("label"))
        x0, y0, x1, y1 = (_unit(entry.get(side)) for side in ("x0", "y0", "x1", "y1"))
        if label and x1 - x0 > 1e-3 and y1 - y0 > 1e-3:
            yield Box(label, _unit(entry.get("score")), x0, y0, x1, y1)


def _tagging(findings: Mapping[str, Any]) -> tuple[list[str], dict[str, float]]:
    tags: dict[str, float] = {}
    for entry in _entries(findings, "tags", _MAX_TAGS):
        if label := _label(entry.get("label")):
            # Two classes may share a name (sunglasses): they are one noun here.
            tags[label] = min(tags.get(label, 0.0) + _unit(entry.get("score")), 1.0)
    scores = dict(tags)
    for entry in _entries(findings, "kinds", _MAX_TAGS):
        if label := _label(entry.get("label")):
            scores[label] = max(scores.get(label, 0.0), _unit(entry.get("score")))
    summed: dict[str, float] = {}
    for label, score in tags.items():
        for kind in chain(label)[1:]:
            summed[kind] = summed.get(kind, 0.0) + score
    for kind, score in summed.items():
        scores[kind] = max(scores.get(kind, 0.0), min(score, 1.0))
    return sorted(tags, key=lambda label: (-tags[label], label)), scores


def _lines(findings: Mapping[str, Any]) -> Iterator[Line]:
    for entry in _entries(findings, "lines", _MAX_LINES):
        text = clean(entry.get("text"))
        polygon = entry.get("polygon")
        if not text or not isinstance(polygon, Sequence) or len(polygon) < 8:
            continue
        xs = [_unit(value) for value in polygon[0:8:2]]
        ys = [_unit(value) for value in polygon[1:8:2]]
        box = Box("text", _unit(entry.get("score")), min(xs), min(ys), max(xs), max(ys))
        size = math.dist((xs[0], ys[0]), (xs[3], ys[3]))  # left side: the text's own height
        yield Line(text, box.score, box, size)


def _statements(findings: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[Statement]:
    entries = [
        (entry.get("text"), entry.get("source"))
        for entry in _entries(findings, "statements", _MAX_STATEMENTS)
    ]
    entries.append((image.get("alt_text"), "alt-text"))
    seen = set()
    for text, source in entries:
        cleaned = clean(text)
        if cleaned and cleaned.casefold() not in seen:
            seen.add(cleaned.casefold())
            yield Statement(cleaned, source if isinstance(source, str) else "")
