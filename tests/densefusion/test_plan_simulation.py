"""The simulation: against formulas, and what must hold whatever it is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densefusion.plan.arrivals import DAY, Load
from densefusion.plan.autoscaler import Rules
from densefusion.plan.outcome import by_name
from densefusion.plan.simulation import (
    StageModel,
    Trouble,
    default_step,
    simulate,
    useful,
)

HOUR = 3600.0
STILL = Trouble(rebalance_seconds=0)


def stream(
    slow: float, slow_workers: int, fast: float = 50.0, rules: Rules | None = None
) -> list[StageModel]:
    """fetch, two experts of which one is slow, and a join of both."""
    return [
        StageModel("fetch", fast, 4),
        StageModel("quick", fast, 4, ("fetch",)),
        StageModel("slow", slow, slow_workers, ("fetch",), start_seconds=60, rules=rules),
        StageModel("join", fast, 4, ("quick", "slow")),
    ]


@pytest.mark.parametrize("busy", [0.5, 0.7])
def test_waiting_is_that_of_one_deterministic_server(busy: float) -> None:
    """Pollaczek and Khinchine, M/D/1: the mean wait is rho / (2 mu (1 - rho)). Images are served
    a bit at a time here, so that an image's mean age is its wait and half of its service."""
    load = Load(busy * DAY, seconds=40_000)
    stages = [StageModel("only", 1.0, 1)]
    ages = [simulate(stages, load, 1, seed=seed, step=0.2).age_mean for seed in (1, 2)]
    expected = busy / (2 * (1 - busy)) + 0.5
    assert float(np.mean(ages)) == pytest.approx(expected, rel=0.1)


def test_a_burst_takes_what_is_over_to_drain() -> None:
    """`capacity - rate` is left for it."""
    load = Load(10 * DAY, burst=9000, burst_at=HOUR, seconds=HOUR + 1)
    outcome = simulate([StageModel("only", 25.0, 1)], load, 1, seed=None, step=1)
    assert outcome.drained == pytest.approx(9000 / 25, abs=2)  # nothing arrives any more
    during = Load(10 * DAY, burst=9000, burst_at=HOUR, seconds=3 * HOUR)
    outcome = simulate([StageModel("only", 25.0, 1)], during, 1, seed=None, step=1)
    done = outcome.curves["only"]
    arrived = np.cumsum(during.arrivals(1, None))
    waiting = arrived - done[: len(arrived)]
    assert np.flatnonzero(waiting > 1)[-1] - HOUR == pytest.approx(9000 / 15, rel=0.01)


@settings(deadline=None, max_examples=30)
@given(
    slow=st.floats(1, 30), workers=st.integers(1, 20), more=st.integers(1, 5),
    partitions=st.integers(1, 24), per_second=st.floats(1, 60), seed=st.integers(1, 99),
)  # fmt: skip
def test_more_workers_are_never_slower(
    slow: float, workers: int, more: int, partitions: int, per_second: float, seed: int
) -> None:
    load = Load(per_second * DAY, 2.0, seconds=HOUR)
    fewer = simulate(stream(slow, workers), load, partitions, seed=seed, step=10)
    greater = simulate(stream(slow, workers + more), load, partitions, seed=seed, step=10)
    length = min(len(fewer.curves["join"]), len(greater.curves["join"]))
    assert (greater.curves["join"][:length] >= fewer.curves["join"][:length] - 1e-6).all()
    assert greater.age_p99 <= fewer.age_p99 + 1e-6


@settings(deadline=None, max_examples=30)
@given(
    slow=st.floats(1, 30), workers=st.integers(1, 20), partitions=st.integers(1, 24),
    per_second=st.floats(1, 60), failures=st.floats(0, 200), scaled=st.booleans(),
    burst=st.floats(0, 10_000), seed=st.integers(1, 99),
)  # fmt: skip
def test_no_image_is_lost_or_made(
    slow: float, workers: int, partitions: int, per_second: float, failures: float, scaled: bool,
    burst: float, seed: int,
) -> None:  # fmt: skip
    rules = Rules(100, maximum=20) if scaled else None
    load = Load(per_second * DAY, 2.0, burst, HOUR / 2, seconds=HOUR)
    outcome = simulate(
        stream(slow, workers, rules=rules), load, partitions, trouble=Trouble(failures),
        seed=seed, step=10,
    )  # fmt: skip
    assert outcome.done + outcome.left == pytest.approx(outcome.arrived)
    assert (outcome.drained is None) == (outcome.left > 0.5)
    curves = outcome.curves
    for curve in curves.values():
        assert (np.diff(curve) >= -1e-6).all()
    # A join is never ahead of the slowest of what it joins, nor anybody ahead of fetch.
    assert (curves["join"] <= np.minimum(curves["quick"], curves["slow"]) + 1e-6).all()
    assert (curves["slow"] <= curves["fetch"] + 1e-6).all()


def test_a_join_goes_as_fast_as_its_slowest_expert() -> None:
    outcome = simulate(stream(2.0, 4), Load(20 * DAY, seconds=HOUR), 8, seed=None, trouble=STILL)
    found = by_name(outcome)
    assert found["slow"].peak_utilisation == pytest.approx(1, abs=0.01)
    assert outcome.curves["join"][-1] - outcome.curves["join"][-101] == pytest.approx(800, rel=0.01)
    assert found["join"].max_lag < 20 < found["slow"].max_lag


def test_partitions_cap_the_workers_and_uneven_shares_slow_them() -> None:
    assert [useful(workers, 8) for workers in (0, 1, 3, 4, 5, 7, 8, 9)] == [
        0, 1, 8 / 3, 4, 4, 4, 8, 8,
    ]  # fmt: skip
    few, many = (
        simulate(stream(5.0, 16), Load(40 * DAY, seconds=HOUR), count, seed=None).curves["join"]
        for count in (4, 16)
    )
    assert many[int(HOUR) - 1] > 1.8 * few[int(HOUR) - 1]


def test_failures_cost_what_their_restarts_take() -> None:
    """Each of ten workers is away for a tenth of the time."""
    trouble = Trouble(failures=24, restart_seconds=360, rebalance_seconds=0)
    load = Load(1000 * DAY, seconds=5 * HOUR)  # far more than can be done
    stages = [StageModel("only", 1.0, 10)]
    broken = simulate(stages, load, 10_000, trouble=trouble, step=5, patience=0)
    whole = simulate(stages, load, 10_000, trouble=STILL, step=5, patience=0)
    # useful() with many partitions is the workers themselves, nearly.
    assert broken.done / whole.done == pytest.approx(1 / 1.1, rel=0.05)
    assert by_name(broken)["only"].failures > 20


def test_an_autoscaler_grows_into_a_burst_and_shrinks_again() -> None:
    rules = Rules(300, minimum=1, maximum=8)
    load = Load(5 * DAY, burst=20_000, burst_at=HOUR, seconds=4 * HOUR)
    scaled = simulate(stream(10.0, 1, rules=rules), load, 16)
    fixed = simulate(stream(10.0, 8), load, 16)
    mine, theirs = by_name(scaled)["slow"], by_name(fixed)["slow"]
    assert mine.workers == (8, 1)
    assert scaled.drained is not None and mine.worker_hours < 0.5 * theirs.worker_hours
    assert scaled.age_p99 > fixed.age_p99


def test_a_slow_start_is_paid_in_age() -> None:
    def aged(seconds: float) -> float:
        rules = Rules(300, maximum=8)
        stages = [StageModel("only", 10.0, 1, start_seconds=seconds, rules=rules)]
        load = Load(5 * DAY, burst=20_000, burst_at=HOUR, seconds=3 * HOUR)
        return simulate(stages, load, 8).age_p95

    assert aged(600) > aged(30) + 300


@settings(max_examples=25)
@given(factor=st.floats(1, 50))
def test_a_days_mean_and_peak_are_what_was_asked_for(factor: float) -> None:
    load = Load(DAY, factor)
    rate = load.rate(np.arange(0, DAY, 60.0))
    assert float(rate.mean()) == pytest.approx(1, rel=1e-3)
    assert float(rate.max()) == pytest.approx(factor, rel=0.01)
    assert float(rate.min()) >= 0


def test_a_month_has_no_more_steps_than_a_few_days() -> None:
    assert default_step(DAY) == 1
    assert math.ceil(30 * DAY / default_step(30 * DAY)) <= 120_000


def test_markers_hold_workers_where_the_threshold_is_below_the_partitions() -> None:
    def left(markers: bool) -> int:
        rules = Rules(4, maximum=8, stabilisation=60)
        stages = [StageModel("only", 10.0, 1, rules=rules, markers=markers)]
        return simulate(stages, Load(0.001, seconds=HOUR), 16).stages[0].workers[0]

    assert left(markers=False) == 1
    assert left(markers=True) == 4
