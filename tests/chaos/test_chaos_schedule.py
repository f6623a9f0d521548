"""The schedule comes from its seed alone, and never asks for the impossible."""

from __future__ import annotations

import pytest

from tests.chaos.schedule import BROKERS, KINDS, schedule

BUNDLES = ("fetch", "experts", "fusion", "dataset")


def test_a_seed_decides_it() -> None:
    first, again = (schedule(7, 120, BUNDLES, 2) for _ in range(2))
    assert first == again
    assert first != schedule(8, 120, BUNDLES, 2)


@pytest.mark.parametrize("faults", [0, 1, 5, len(KINDS), 120, 400])
def test_as_many_as_asked_for_in_order_within_the_run(faults: int) -> None:
    found = schedule(3, faults, BUNDLES, 2)
    assert len(found) == faults
    places = [fault.at for fault in found]
    assert places == sorted(places)
    assert all(0 < at < 0.95 for at in places)
    assert len({fault.kind for fault in found}) == min(faults, len(KINDS)) or faults > len(KINDS)


def test_every_kind_happens() -> None:
    for seed in range(20):
        assert {fault.kind for fault in schedule(seed, 30, BUNDLES, 2)} == set(KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_it_hits_what_is_there(seed: int) -> None:
    running = {f"{bundle}-{slot}" for bundle in BUNDLES for slot in range(2)}
    for fault in schedule(seed, 200, BUNDLES, 2):
        if fault.lane == "broker":
            assert int(fault.target) in range(BROKERS)
        elif fault.kind == "worker add":
            running.add(fault.target)
        elif fault.lane == "worker":
            assert fault.target in running
            bundle = fault.target.rpartition("-")[0]
            if fault.kind == "worker remove" and sum(bundle in name for name in running) > 1:
                running.discard(fault.target)
        shortest, longest = KINDS[fault.kind][1:]
        assert shortest <= fault.seconds <= longest
    for bundle in BUNDLES:
        assert any(name.startswith(bundle) for name in running)
