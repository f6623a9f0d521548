"""What is scaled, on which lag, by which rules: ScaledObjects, written down in Python.

Times are the HPA's defaults, seven and a half times faster, so that a run takes minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from densefusion import topics
from densefusion.plan.autoscaler import Rules
from tests.chaos.pictures import EXPERTS

ROSTER = (*EXPERTS, "device")


@dataclass(frozen=True, slots=True)
class Trigger:
    """A Kafka trigger: the lag of one group on one topic."""

    group: str
    topic: str


@dataclass(frozen=True, slots=True)
class Target:
    """Stages that share a process, and how many of that there should be."""

    name: str
    stages: tuple[str, ...]
    triggers: tuple[Trigger, ...]
    rules: Rules


def targets(device_seconds: float, most: int, *, quick: bool = False) -> list[Target]:
    """All of the stream's.

    Args:
        device_seconds: of one image; the device's threshold is twenty seconds of its work.
        most: workers of the device.
        quick: even shorter times, for a test.
    """
    sync, stable = (1.0, 4.0) if quick else (2.0, 40.0)

    def rules(threshold: int, maximum: int, **more: object) -> Rules:
        return Rules(
            threshold, maximum=maximum, polling=sync, sync=sync, stabilisation=stable,
            growth_period=sync, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    per_worker = max(1, round((2 if quick else 20) / device_seconds))
    priors = [Trigger("fusion", topics.priors(name)) for name in ROSTER]
    return [
        Target(
            "fetch", ("fetch", "curate"),
            (Trigger("fetch", topics.URLS), Trigger("curate", topics.FETCHED)), rules(4000, 2),
        ),
        Target(
            "experts", EXPERTS,
            (Trigger("number", topics.IMAGES), Trigger("size", topics.IMAGES),
             Trigger("digits", topics.priors("number"))), rules(4000, 2),
        ),
        Target("device", ("device",), (Trigger("device", topics.IMAGES),), rules(per_worker, most)),
        Target(
            "fusion", ("fusion",), (Trigger("fusion", topics.IMAGES), *priors),
            rules(4000, 2, combine="min"),
        ),
        Target(
            "dataset", ("dataset",),
            (Trigger("dataset", topics.CAPTIONS), Trigger("dataset", topics.REJECTS)),
            rules(4000, 2),
        ),
    ]  # fmt: skip
