"""What two looks at the workers' metrics say: increases, quantiles."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densefusion.status.reading import Reading, histogram, increase, quantile


def reading(at: float, **series: float) -> Reading:
    """Series named ``<instance>_<stage>``, of one counter."""
    made = Reading(at)
    for name, value in series.items():
        instance, stage = name.split("_")
        made.add("n_total", {"stage": stage}, instance, value)
    return made


def test_counters_are_summed_over_workers() -> None:
    before, after = reading(0, a_fetch=1, b_fetch=2), reading(10, a_fetch=5, b_fetch=4, b_ocr=3)
    assert increase(before, after, "n_total", "stage") == {("fetch",): 6, ("ocr",): 3}
    assert increase(before, after, "n_total") == {(): 9}


def test_a_worker_that_began_anew_counts_from_zero() -> None:
    assert increase(reading(0, a_fetch=100), reading(9, a_fetch=7), "n_total") == {(): 7}


def test_a_worker_that_was_not_seen_before_counts_from_the_next_look_on() -> None:
    first, second, third = reading(0), reading(5, a_fetch=10_000), reading(9, a_fetch=10_020)
    assert increase(first, second, "n_total") == {}
    assert increase(second, third, "n_total") == {(): 20}


def test_a_metric_that_is_not_there() -> None:
    assert increase(reading(0), reading(1), "n_total", "stage") == {}
    assert reading(0).total("n_total", "stage") == reading(0).highest("n_total") == {}


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 1.0), (0.25, 0.5), (0.75, 2.0), (0.9, 2.6), (0.999, 3.0), (1.0, 3.0)],
)
def test_quantiles_as_prometheus_estimates_them(share: float, expected: float) -> None:
    # Half up to 1, three tenths in (1, 2]... see histogram_quantile of Prometheus.
    buckets = {1.0: 50.0, 2.0: 75.0, 3.0: 100.0, inf: 100.0}
    assert quantile(share, buckets) == pytest.approx(expected, abs=0.01)


def test_what_is_beyond_the_last_bound_is_given_as_that_bound() -> None:
    assert quantile(0.99, {1.0: 1.0, 100.0: 2.0, inf: 10.0}) == 100.0


def test_no_records_no_quantile() -> None:
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {1.0: 0.0, inf: 0.0}) is None


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_quantiles_grow_with_their_share(counts: list[int], one: float, other: float) -> None:
    total, buckets = 0, {}
    for number, count in enumerate(counts):
        total += count
        buckets[float(number + 1)] = float(total)
    low, high = sorted((one, other))
    first, second = quantile(low, buckets), quantile(high, buckets)
    assert first is not None and second is not None
    assert 0 <= first <= second <= len(counts)


def test_buckets_by_stage() -> None:
    made = Reading(0)
    for bound, value in (("1.0", 3.0), ("+Inf", 4.0)):
        made.add("age_bucket", {"stage": "fetch", "le": bound}, "a", value)
        made.add("age_bucket", {"stage": "fetch", "le": bound}, "b", value)
    assert histogram(made.total("age_bucket", "stage", "le")) == {"fetch": {1.0: 6.0, inf: 8.0}}
