"""A plan held against a simulation of it: with all its workers, and with an autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from densefusion.plan.arrivals import Load
from densefusion.plan.outcome import Outcome
from densefusion.plan.simulation import Trouble, simulate
from densefusion.plan.sizing import Plan


@dataclass(frozen=True, slots=True)
class Check:
    """What the simulation says.

    Attributes:
        fixed: the plan's workers all the time.
        scaled: an autoscaler between the fewest and the plan's.
        max_age: what was asked for, in seconds.
    """

    fixed: Outcome
    scaled: Outcome
    max_age: float

    @property
    def failures(self) -> list[str]:
        """What does not hold; empty where the plan is good."""
        return [
            f"{name}: {why}"
            for name, outcome in (("all workers", self.fixed), ("autoscaled", self.scaled))
            for why in complaints(outcome, self.max_age)
        ]


def complaints(outcome: Outcome, max_age: float) -> list[str]:
    """What is wrong with an outcome."""
    found = []
    if outcome.drained is None:
        found.append(f"not drained: {outcome.left:,.0f} images are left")
    if not outcome.age_p99 <= max_age:
        found.append(f"99 of 100 images take {outcome.age_p99:,.0f} s, not {max_age:,.0f}")
    return found


def check(
    plan: Plan, load: Load, trouble: Trouble, seed: int = 1, step: float | None = None
) -> Check:
    """Run the plan's stages under a load."""
    return Check(
        run(plan, load, trouble, seed=seed, step=step),
        run(plan, load, trouble, seed=seed, step=step, scaled=True),
        plan.request.max_age,
    )


def run(
    plan: Plan,
    load: Load,
    trouble: Trouble,
    *,
    seed: int = 1,
    step: float | None = None,
    scaled: bool = False,
    workers: Mapping[str, int] | None = None,
) -> Outcome:
    """One simulation of a plan.

    Args:
        workers: other numbers than the plan's, by stage.
    """
    other = workers or {}
    stages = [
        each.simulated(workers=other.get(each.model.stage), scaled=scaled) for each in plan.stages
    ]
    return simulate(stages, load, plan.partitions, trouble=trouble, seed=seed, step=step)
