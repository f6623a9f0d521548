"""The join: experts that come back, late priors, and priors of images that never come."""

from __future__ import annotations

from consumers.join import Joined, PartitionJoin
from tests.consumers.test_join import DEADLINE, join, leave


def dead(*experts: str, keep_late: bool = False) -> PartitionJoin[str]:
    """Image 0 has left, at `DEADLINE`, without any expert; 1 to 9 wait for nobody."""
    held = join(*experts, keep_late=keep_late)
    for offset in range(10):
        held.image(offset, str(offset), 0.0)
    assert held.next(DEADLINE) is not None
    return held


def test_late_prior_gives_a_dead_expert_one_deadline_to_catch_up() -> None:
    held = dead("a")
    held.prior("a", 0, 0, "late", 2 * DEADLINE)
    assert leave(held, 3 * DEADLINE - 0.1) == []
    held.prior("a", 1, 1, "in time", 3 * DEADLINE - 0.1)
    assert [each.priors for each in leave(held, 3 * DEADLINE - 0.1)] == [{"a": "in time"}]
    assert leave(held, 4 * DEADLINE - 0.2) == [], "it keeps up again, and is waited for"


def test_backlog_of_late_priors_costs_one_deadline() -> None:
    """A returning expert works off what nobody waits for, for ten deadlines; the stream goes on."""
    held = join("a")
    for offset in range(1000):
        held.image(offset, str(offset), 0.0)
    while held.waiting > 100:
        assert held.next(DEADLINE) is not None
    now = DEADLINE
    for offset in range(800):
        now += DEADLINE / 80
        held.prior("a", offset, offset, "late", now)
        left = leave(held, now)
        assert len(left) == (100 if offset == 80 else 0), offset
    assert held.late == 800


def test_expert_that_repeats_itself_does_not_hold_the_stream() -> None:
    """It was reset, and answers again from the beginning."""
    held = join("a")
    for offset in range(10):
        held.image(offset, str(offset), 0.0)
        held.prior("a", offset, offset, "first", 0.0)
    assert len(leave(held)) == 10
    held.image(10, "new", 1.0)
    for offset in range(10):
        held.prior("a", 10 + offset, offset, "again", 1.0 + offset)
        assert leave(held, 1.0 + offset) == []
    assert len(leave(held, 1.0 + DEADLINE)) == 1


def test_late_prior_leaves_by_itself_where_it_is_kept() -> None:
    held = dead("a", "b", keep_late=True)
    held.prior("a", 4, 0, "late", 2 * DEADLINE)
    held.prior("b", 7, None, "garbage", 2 * DEADLINE)
    assert held.next(2 * DEADLINE) == Joined(None, {"a": "late"}, {}, {"a": 5}, late=True)
    assert held.next(2 * DEADLINE) == Joined(None, {}, {}, {"b": 8}, "garbage")
    assert held.late == 0


def test_kept_late_prior_makes_nobody_wait() -> None:
    held = dead("a", keep_late=True)
    held.prior("a", 0, 0, "late", 2 * DEADLINE)
    late, *images = leave(held, 2 * DEADLINE)
    assert late.late and len(images) == 9
    held.image(10, "new", 2 * DEADLINE)
    held.prior("a", 1, 10, "in time", 2 * DEADLINE)
    held.image(11, "newer", 2 * DEADLINE)
    assert [each.priors for each in leave(held, 2 * DEADLINE)] == [{"a": "in time"}]
    assert leave(held, 3 * DEADLINE - 0.1) == [], "an answer in time revives it"


def test_priors_of_images_that_never_come() -> None:
    """Offsets that were skipped, and one far beyond the end: its images have no other answer."""
    held = join("a")
    held.prior("a", 0, 2, "skipped", 0.0)
    held.image(5, "five", 0.0)
    held.prior("a", 1, 5, "first", 0.0)
    held.prior("a", 2, 7, "skipped", 0.0)
    held.image(9, "nine", 0.0)
    held.prior("a", 3, 900, "beyond", 0.0)
    assert [each.priors for each in leave(held)] == [{"a": "first"}, {}]
    assert held.late == 2
    held.image(901, "later", 0.0)
    assert leave(held) == []
    assert held.late == 3 and held.held == 1
