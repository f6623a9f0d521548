"""What a caption speaks of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from engines.captions.compose.evidence import Box


class Certainty(IntEnum):
    POSSIBLE = 1
    LIKELY = 2
    SURE = 3


@dataclass(slots=True)
class Thing:
    """Something in the picture; without boxes where only the classifier saw it.

    Attributes:
        at_least: there are boxes too weak to be counted, or a description speaks of several.
        several: more than one, how many is unknown.
        finer: a closer noun for it (or for one of them), less certain than the thing itself.
        holds: what a vessel holds.
        either: the two nouns about which the experts disagree.
    """

    noun: str
    certainty: Certainty
    boxes: list[Box] = field(default_factory=list)
    at_least: bool = False
    several: bool = False
    finer: str | None = None
    holds: str | None = None
    either: tuple[str, str] | None = None

    @property
    def count(self) -> int:
        return max(len(self.boxes), 2 if self.several else 1)

    @property
    def area(self) -> float:
        """Of the largest box, as a share of the picture."""
        return max((box.area for box in self.boxes), default=0.0)
