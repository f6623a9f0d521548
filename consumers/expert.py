"""What an expert is, and where experts are found.

A new expert is one class, one Avro schema for its findings, and one line of registration: an entry
point in the group ``densefusion.experts``, in this package or any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol

import numpy as np

Findings = Mapping[str, Any]
GROUP = "densefusion.experts"


@dataclass(slots=True, frozen=True)
class Sighting:
    """What an expert is given: one image.

    Attributes:
        image: the `Image` record (for an expert that follows another's topic: still the image's).
        pixels: H x W x 3, uint8, RGB, upright; None for an expert whose `pixels` is 0.
        prior: the record of the expert that this one follows, if it follows one.
    """

    image: Mapping[str, Any]
    pixels: np.ndarray | None
    prior: Mapping[str, Any] | None = None


class Expert(Protocol):
    """Turns images into findings. One object serves many images at the same time.

    Attributes:
        name: names the topic ``priors.<name>``, the consumer group and the dataset's column.
        title: the prompt's block for its lines, such as ``Image Tags``.
        follows: the topic it consumes: ``images``, or ``priors.<expert>``.
        pixels: shortest side that it needs, in pixels (JPEGs are decoded at a reduced scale where
            that suffices); 0: it looks at no pixels; None: full size.
        model, model_version: written into every prior.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    follows: ClassVar[str]
    model: str
    model_version: str

    @property
    def pixels(self) -> int | None: ...

    @staticmethod
    def schema() -> dict[str, Any]:
        """Avro schema of the findings."""

    async def open(self) -> None:
        """Load what `find` needs."""

    async def close(self) -> None: ...

    async def find(self, sighting: Sighting) -> Findings:
        """Findings that fit `schema`. An exception becomes a prior with ``status: failed``."""

    def describe(self, findings: Findings) -> Sequence[str]:
        """The findings as lines of text for the prompt's block `title`."""


def experts() -> dict[str, type[Expert]]:
    """Every registered expert class by its name."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}
