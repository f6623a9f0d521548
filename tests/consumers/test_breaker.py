"""The circuit breaker: a share of the last records, no more and no less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.breaker import Breaker


def trip_at(outcomes: list[bool], share: float, window: int) -> int | None:
    """How many records it takes until the breaker trips."""
    breaker = Breaker(share, window)
    for number, died in enumerate(outcomes, 1):
        breaker.record(died)
        if breaker.tripped is not None:
            return number
    return None


def test_a_stage_whose_every_record_dies_stops_after_half_a_window() -> None:
    assert trip_at([True] * 200, 0.5, 200) == 101


def test_half_the_records_may_die() -> None:
    assert trip_at([True, False] * 1000, 0.5, 200) is None
    assert trip_at([True, True, False] * 1000, 0.5, 200) is not None


def test_what_is_long_past_is_forgotten() -> None:
    quiet = [False] * 100
    assert trip_at(([True] * 50 + quiet) * 20, 0.5, 100) is None
    assert trip_at([*([True] * 50 + quiet) * 20, *[True] * 51], 0.5, 100) == 20 * 150 + 51


def test_a_few_bad_ones_at_the_start_stop_nobody() -> None:
    assert trip_at([True] * 5, 0.5, 200) is None


def test_a_share_of_one_never_stops() -> None:
    assert trip_at([True] * 1000, 1.0, 10) is None


def test_it_says_how_many_and_why_and_stays_tripped() -> None:
    breaker = Breaker(0.5, 10)
    for _ in range(3):
        breaker.record(False)
    for _ in range(5):
        breaker.record(True, "SchemaError('x')")
    assert breaker.tripped is None
    breaker.record(True, "SchemaError('x')")
    said = breaker.tripped
    assert said is not None
    assert "6 of the last 9 records" in said and "SchemaError('x')" in said
    for _ in range(100):
        breaker.record(False)
    assert breaker.tripped == said


@given(
    outcomes=st.lists(st.booleans(), max_size=120),
    share=st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]),
    window=st.integers(10, 40),
)
def test_it_trips_at_the_first_record_that_makes_them_too_many(
    outcomes: list[bool], share: float, window: int
) -> None:
    expected = next(
        (
            number
            for number in range(1, len(outcomes) + 1)
            if outcomes[number - 1]
            and sum(outcomes[max(0, number - window) : number]) > share * window
        ),
        None,
    )
    assert trip_at(outcomes, share, window) == expected


@given(st.lists(st.booleans(), max_size=200), st.integers(10, 40))
def test_it_never_lets_more_than_the_share_through(outcomes: list[bool], window: int) -> None:
    """What is committed: everything before the record that trips it."""
    tripped = trip_at(outcomes, 0.5, window)
    through = outcomes[: tripped - 1] if tripped else outcomes
    for start in range(len(through)):
        assert sum(through[start : start + window]) <= 0.5 * window


@pytest.mark.parametrize("window", [10, 200])
def test_memory_is_bounded(window: int) -> None:
    breaker = Breaker(1.0, window)
    for number in range(10 * window):
        breaker.record(number % 2 == 0)
    assert len(breaker._last) == window and breaker._died == window // 2
