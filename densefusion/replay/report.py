"""What became of a replay."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from densefusion.replay.origin import Found

_LISTED = 100


class Outcome(StrEnum):
    """What becomes of one that was selected."""

    PUT_BACK = "put back"
    ALREADY = "already put back"
    AT_CAP = "at the cap"
    NO_WAY = "no way back"
    OVER_LIMIT = "over the limit"


@dataclass(slots=True)
class Report:
    """Counts, and the first of those that were left.

    Attributes:
        read: messages read.
        counts: by stage, reason (of a dead letter: topic) and outcome.
        left: those at the cap or without a way back, each with why; the first hundred.
        moved: put back on another partition than they came from: the topic has had some added.
        complete: False where it was interrupted.
    """

    read: int = 0
    counts: Counter[tuple[str, str, Outcome]] = field(default_factory=Counter)
    left: list[tuple[Found, Outcome, str]] = field(default_factory=list)
    moved: int = 0
    complete: bool = True

    def add(self, group: tuple[str, str], outcome: Outcome, found: Found, why: str = "") -> None:
        self.counts[(*group, outcome)] += 1
        if outcome in (Outcome.AT_CAP, Outcome.NO_WAY) and len(self.left) < _LISTED:
            self.left.append((found, outcome, why))

    def total(self, outcome: Outcome) -> int:
        return sum(number for (_, _, each), number in self.counts.items() if each is outcome)

    @property
    def all_back(self) -> bool:
        """Whether nothing that was selected was left for a person to look at."""
        return self.total(Outcome.AT_CAP) + self.total(Outcome.NO_WAY) == 0

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "read": self.read,
            **{outcome.name.lower(): self.total(outcome) for outcome in Outcome},
            "moved": self.moved,
            "complete": self.complete,
            "counts": [
                {"stage": stage, "what": what, "outcome": str(outcome), "records": number}
                for (stage, what, outcome), number in sorted(self.counts.items())
            ],
            "left": [
                {
                    "place": found.place,
                    "stage": found.stage,
                    "reason": found.reason,
                    "subject": found.subject,
                    "attempt": found.origin.attempt if found.origin else None,
                    "outcome": str(outcome),
                    "why": why,
                }
                for found, outcome, why in self.left
            ],
        }
