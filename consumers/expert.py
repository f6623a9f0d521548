"""What an expert is, and where experts are found.

A new expert is one class, one Avro schema for its findings, and one line of registration: an entry
point in the group ``densefusion.experts``, in this package or any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

Findings = Mapping[str, Any]
GROUP = "densefusion.experts"


@dataclass(slots=True, frozen=True)
class Sighting:
    """What an expert is given: one image.

    Attributes:
        image: the `Image` record (for an expert that follows another's topic: still the image's).
        pixels: H x W x 3, uint8, RGB, upright; None for an expert whose `pixels` is 0; what its
            `prepare` made of them for an expert that `Prepares`.
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


@runtime_checkable
class Prepares(Protocol):
    """What an expert has besides, where it resizes its pixels or the like.

    `prepare` is called in the pool that decodes, so that no model waits for it, and so that no more
    of a picture is held in memory than is needed.
    """

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """What `find` is given as pixels. An exception becomes a prior, as `find`'s does."""


def experts() -> dict[str, EntryPoint]:
    """Every registered expert by its name; ``<name>.<profile>`` is another that answers to it."""
    return {point.name: point for point in entry_points(group=GROUP)}
