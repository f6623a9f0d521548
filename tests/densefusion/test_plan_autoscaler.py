"""KEDA's and the HPA's rules, each by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from densefusion.plan.autoscaler import Autoscaler, LagReader, Rules, capped, desired


def test_lag_is_the_end_less_what_is_committed_on_all_partitions() -> None:
    assert LagReader().read({0: (10, 15), 1: (7, 8)}) == (6, 6)


def test_a_group_that_has_committed_nothing_lags_by_all_there_is() -> None:
    assert LagReader().read({0: (-1, 15), 1: (-1, 0)}) == (15, 15)


def test_excluded_is_what_stands_still_between_two_looks_but_it_still_wakes() -> None:
    reader = LagReader(exclude_persistent=True)
    assert reader.read({0: (10, 15), 1: (7, 8)}) == (6, 6)
    assert reader.read({0: (12, 15), 1: (7, 8)}) == (3, 4)
    assert reader.read({0: (15, 16), 1: (7, 8)}) == (1, 2)
    assert reader.read({0: (15, 16), 1: (7, 8)}) == (0, 2)


def test_keda_tells_no_more_than_the_partitions_can_use() -> None:
    assert capped(10_000, threshold=50, partitions=8) == 400
    assert capped(400, threshold=50, partitions=8) == 400
    assert capped(30, threshold=50, partitions=8) == 30


def test_the_hpa_rounds_up_and_leaves_what_is_near_alone() -> None:
    assert desired(101, 50, replicas=1) == 3
    assert desired(0, 50, replicas=3) == 0
    assert desired(320, 100, replicas=3) == 3  # a ratio of 1.07
    assert desired(331, 100, replicas=3) == 4


def test_growth_is_doubling_or_four_in_fifteen_seconds() -> None:
    scaler = Autoscaler(Rules(1, maximum=1000), partitions=1000)
    sizes, replicas = [], 1
    for look in range(8):
        replicas = scaler.decide(look * 15.0, (10**6,), (10**6,), replicas)
        sizes.append(replicas)
    assert sizes == [5, 10, 20, 40, 80, 160, 320, 640]


def test_between_two_looks_nothing_changes() -> None:
    scaler = Autoscaler(Rules(10, maximum=4), partitions=4)
    assert scaler.decide(0.0, (400,), (400,), 1) == 4
    assert scaler.decide(14.0, (0,), (0,), 4) == 4


@given(
    lags=st.lists(st.integers(0, 10**7), min_size=1, max_size=50),
    threshold=st.integers(1, 10_000),
    minimum=st.integers(1, 5),
    maximum=st.integers(5, 200),
    partitions=st.integers(5, 300),
)
def test_never_outside_its_bounds(
    lags: list[int], threshold: int, minimum: int, maximum: int, partitions: int
) -> None:
    scaler = Autoscaler(Rules(threshold, minimum=minimum, maximum=maximum), partitions)
    replicas = minimum
    for look, lag in enumerate(lags):
        replicas = scaler.decide(look * 15.0, (lag,), (lag,), replicas)
        assert minimum <= replicas <= min(maximum, partitions)
