"""The state of the stream at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Stage:
    """One stage. What is not known is None; seconds and rates a second are floats.

    Attributes:
        done, waiting: offsets passed, and left, on its topics.
        committed_rate: records committed, from the brokers' offsets.
        rate_in, rate_out: records taken into work, and published, from the workers' metrics.
        age: from a URL's publication to this stage's output, p50 and p95.
        lag: seconds that the oldest waiting record has waited.
        workers: members of its group, or workers whose metrics answer.
        eta: seconds until nothing waits here or before, at the present rate.
        still: seconds since anything was committed, with records waiting.
    """

    name: str
    topics: tuple[str, ...] = ()
    done: int = 0
    waiting: int = 0
    committed_rate: float | None = None
    rate_in: float | None = None
    rate_out: float | None = None
    age_p50: float | None = None
    age_p95: float | None = None
    lag: float | None = None
    workers: int | None = None
    in_flight: int | None = None
    rejects: int = 0
    dead_letters: int = 0
    eta: float | None = None
    still: float | None = None


@dataclass(slots=True)
class Snapshot:
    """The stream at one moment.

    Attributes:
        window: seconds that the rates are taken over.
        metrics: where the workers' metrics came from; None where there were none.
        waiting: records that have not ended yet, wherever they are.
        rejects: stage and reason -> records, since the workers started.
        missing: expert -> captions without its findings, since the workers started.
        eta: seconds until everything that waits has been done, at the present rates; None where
            something that waits does not move.
        stuck: what does not move, or is not as it should be, a sentence each.
    """

    bootstrap: str
    time: str
    window: float
    metrics: str | None
    stages: list[Stage] = field(default_factory=list)
    rejects: dict[tuple[str, str], int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    workers_down: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    eta: float | None = None
    bottleneck: str | None = None
    stuck: list[str] = field(default_factory=list)


def as_object(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot for JSON: numbers with three decimals at the most."""
    found: dict[str, Any] = asdict(snapshot)
    found["stages"] = {each.pop("name"): each for each in found["stages"]}
    reasons: dict[str, dict[str, int]] = {}
    for (stage, reason), number in snapshot.rejects.items():
        reasons.setdefault(stage, {})[reason] = number
    found["rejects"] = reasons
    found = _rounded(found)
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
