from __future__ import annotations

import time

import pytest

from consumers import stalled
from consumers.client_stats import Fetching
from consumers.stalled import Stalled

A, B = ("topic", 0), ("topic", 1)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Ends:
    """What the brokers say; counts how often they are asked."""

    def __init__(self, **ends: int | None) -> None:
        self.ends: dict[tuple[str, int], int | None] = {A: ends.get("a"), B: ends.get("b")}
        self.asked: list[tuple[str, int]] = []

    def __call__(self, place: tuple[str, int]) -> int | None:
        self.asked.append(place)
        return self.ends[place]


def at(following: int, queued: int = 0) -> Fetching:
    return Fetching(following, following, 0, queued, "active")


def test_behind_and_nothing_comes(clock: Clock) -> None:
    ends = Ends(a=10)
    watch = Stalled(ends)
    assert watch.look({A: at(5)}, set()) == set()
    clock.now += stalled._QUIET_SECONDS
    assert watch.look({A: at(5)}, set()) == set(), "it may have come in this very moment"
    clock.now += 5
    assert watch.look({A: at(5)}, set()) == {A}
    watch.forget()
    clock.now += 5
    assert watch.look({A: at(5)}, set()) == set()


def test_a_drained_partition_is_asked_about_seldom(clock: Clock) -> None:
    ends = Ends(a=5)
    watch = Stalled(ends)
    for _ in range(36):  # three minutes
        assert watch.look({A: at(5)}, set()) == set()
        clock.now += 5
    assert len(ends.asked) == 2


@pytest.mark.parametrize("why", ["progress", "paused", "queued", "no answer", "unknown"])
def test_what_is_no_stall(why: str, clock: Clock) -> None:
    watch = Stalled(Ends(a=None if why == "no answer" else 10_000))
    following = 5
    for _ in range(60):
        if why == "progress":
            following += 1
        fetching = at(-1001 if why == "unknown" else following, queued=int(why == "queued"))
        assert watch.look({A: fetching}, {A} if why == "paused" else set()) == set()
        clock.now += 5


def test_fetching_again_in_between_is_no_stall(clock: Clock) -> None:
    watch = Stalled(Ends(a=10))
    watch.look({A: at(5)}, set())
    clock.now += stalled._QUIET_SECONDS
    watch.look({A: at(5)}, set())
    clock.now += 5
    assert watch.look({A: at(10)}, set()) == set()
    clock.now += stalled._QUIET_SECONDS
    assert watch.look({A: at(10)}, set()) == set()


def test_few_are_asked_about_at_once(clock: Clock) -> None:
    asked: list[tuple[str, int]] = []

    def end(place: tuple[str, int]) -> int:
        asked.append(place)
        return 0

    places = {("topic", number): at(5) for number in range(40)}
    watch = Stalled(end)
    watch.look(places, set())
    clock.now += stalled._QUIET_SECONDS
    watch.look(places, set())
    assert len(asked) == stalled._ASKED_AT_ONCE
    for _ in range(9):
        watch.look(places, set())
    assert len(set(asked)) == 40
