"""Once in a while, for each key."""

from __future__ import annotations

from densefusion.seldom import Seldom


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_once_in_a_while_for_each_key() -> None:
    clock = Clock()
    seldom = Seldom(10, clock)
    assert [seldom("a"), seldom("b"), seldom("a"), seldom("a")] == [0, 0, None, None]
    clock.now += 10
    assert [seldom("a"), seldom("a"), seldom("b")] == [2, None, 0]


def test_without_a_pause_everything_passes() -> None:
    seldom = Seldom(0, Clock())
    assert [seldom("a"), seldom("a")] == [0, 0]


def test_what_is_remembered_is_bounded() -> None:
    seldom = Seldom(10, Clock())
    for number in range(10_000):
        seldom(number)
    assert len(seldom._last) <= 256
