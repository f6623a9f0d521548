"""The rules of the join, one by one. `test_join_machine` has them all at once."""

from __future__ import annotations

from consumers.join import IMAGES, Joined, PartitionJoin

DEADLINE = 10.0


def join(*experts: str, window: int = 100, keep_late: bool = False) -> PartitionJoin[str]:
    return PartitionJoin(experts, window=window, deadline=DEADLINE, keep_late=keep_late)


def leave(joined: PartitionJoin[str], now: float = 0.0) -> list[Joined[str]]:
    return list(joined.ready(now))


def test_image_leaves_with_all_its_priors() -> None:
    held = join("a", "b")
    held.image(7, "image", 0)
    assert leave(held) == []
    held.prior("a", 3, 7, "from a", 0)
    assert leave(held) == []
    held.prior("b", 9, 7, "from b", 0)
    assert leave(held) == [
        Joined("image", {"a": "from a", "b": "from b"}, {}, {IMAGES: 8, "a": 4, "b": 10})
    ]
    assert held.waiting == 0 and held.late == 0


def test_priors_may_come_before_their_image() -> None:
    held = join("a")
    held.prior("a", 0, 0, "first", 0)
    held.prior("a", 1, 1, "second", 0)
    assert leave(held) == []
    held.image(0, "one", 0)
    held.image(1, "two", 0)
    assert [(each.image, each.priors) for each in leave(held)] == [
        ("one", {"a": "first"}),
        ("two", {"a": "second"}),
    ]


def test_no_experts_hold_nothing_up() -> None:
    held = join()
    held.image(4, "image", 0)
    assert leave(held) == [Joined("image", {}, {}, {IMAGES: 5})]


def test_a_later_prior_says_that_there_is_none_for_this_image() -> None:
    held = join("a")
    held.image(0, "one", 0)
    held.image(5, "two", 0)
    held.prior("a", 0, 5, "second", 0)
    first, second = leave(held)
    assert first.priors == {} and first.missing["a"].startswith("passed by")
    assert first.passed == {IMAGES: 1}  # the prior is still to be used
    assert second.priors == {"a": "second"} and second.passed == {IMAGES: 6, "a": 1}


def test_a_prior_beyond_every_image_here_counts_as_later() -> None:
    held = join("a")
    held.image(0, "one", 0)
    held.prior("a", 0, 900, "far ahead", 0)
    (left,) = leave(held)
    assert left.priors == {}
    assert left.passed == {IMAGES: 1}


def test_images_leave_in_order_though_a_later_one_is_complete() -> None:
    held = join("a", "b")
    held.image(0, "one", 0)
    held.image(1, "two", 0)
    for expert in ("a", "b"):
        held.prior(expert, 1, 1, "second", 0)
    # Both have gone on after the first, so nothing is waited for, but the order stands.
    assert [each.image for each in leave(held)] == ["one", "two"]


def test_silent_expert_is_waited_for_until_the_deadline() -> None:
    held = join("a")
    held.image(0, "one", 100.0)
    assert leave(held, 100.0 + DEADLINE - 0.1) == []
    (left,) = leave(held, 100.0 + DEADLINE)
    assert left.missing == {"a": "silent for 10 s"}


def test_dead_expert_costs_one_deadline_for_all_images() -> None:
    held = join("a", "dead")
    for offset in range(3):
        held.image(offset, str(offset), 0.0)
        held.prior("a", offset, offset, "here", 0.0)
    assert leave(held, DEADLINE - 0.1) == []
    assert len(leave(held, DEADLINE)) == 3
    for offset in range(3, 6):
        held.image(offset, str(offset), DEADLINE)
        held.prior("a", offset, offset, "here", DEADLINE)
    left = leave(held, DEADLINE)
    assert [each.image for each in left] == ["3", "4", "5"]
    assert all(set(each.missing) == {"dead"} for each in left)


def test_several_dead_experts_cost_one_deadline_together() -> None:
    held = join("a", "b", "c")
    held.image(0, "one", 0.0)
    assert leave(held, DEADLINE - 0.1) == []
    (left,) = leave(held, DEADLINE)
    assert set(left.missing) == {"a", "b", "c"}


def test_expert_that_speaks_again_is_waited_for_again() -> None:
    held = join("a")
    held.image(0, "one", 0.0)
    assert len(leave(held, DEADLINE)) == 1
    held.prior("a", 0, 0, "too late", 20.0)
    held.image(1, "two", 20.0)
    assert leave(held, 20.0 + DEADLINE - 0.1) == []
    held.prior("a", 1, 1, "in time", 20.0 + DEADLINE - 0.1)
    (left,) = leave(held, 20.0 + DEADLINE - 0.1)
    assert left.priors == {"a": "in time"}


def test_slow_expert_that_goes_on_speaking_is_not_dead() -> None:
    held = join("a")
    for offset in range(5):
        held.image(offset, str(offset), 0.0)
    for offset in range(5):
        now = (offset + 1) * 0.9 * DEADLINE
        held.prior("a", offset, offset, "slow", now)
        assert [each.priors for each in leave(held, now)] == [{"a": "slow"}]


def test_idle_time_is_no_silence() -> None:
    """An expert that had no image to speak of has the whole deadline for the next one."""
    held = join("a")
    held.image(0, "one", 0.0)
    held.prior("a", 0, 0, "first", 0.0)
    assert len(leave(held)) == 1
    held.image(1, "two", 1000.0)
    assert leave(held, 1000.0 + DEADLINE - 0.1) == []


def test_another_experts_slowness_is_not_this_ones_silence() -> None:
    """`a` answered all there was at once; only `slow` kept the join from being empty."""
    held = join("a", "slow")
    held.image(0, "one", 0.0)
    held.prior("a", 0, 0, "from a", 0.0)
    held.prior("slow", 0, -5, "late, but alive", 0.9 * DEADLINE)
    held.image(1, "two", 1.5 * DEADLINE)
    held.prior("slow", 1, 0, "from slow", 1.5 * DEADLINE)
    held.prior("slow", 2, 1, "from slow", 1.5 * DEADLINE)
    assert [each.image for each in leave(held, 1.5 * DEADLINE)] == ["one"]
    held.prior("a", 1, 1, "from a", 1.6 * DEADLINE)
    (left,) = leave(held, 1.6 * DEADLINE)
    assert set(left.priors) == {"a", "slow"}


def test_late_priors_are_dropped_and_used_up() -> None:
    held = join("a")
    held.image(0, "one", 0.0)
    assert len(leave(held, DEADLINE)) == 1
    held.prior("a", 0, 0, "late", DEADLINE)
    held.image(1, "two", DEADLINE)
    held.prior("a", 1, 1, "in time", DEADLINE)
    (left,) = leave(held, DEADLINE)
    assert left.priors == {"a": "in time"} and left.passed == {IMAGES: 2, "a": 2}
    assert held.late == 1


def test_late_prior_is_dropped_while_there_are_no_images() -> None:
    held = join("a", window=1)
    held.image(0, "one", 0.0)
    assert len(leave(held, DEADLINE)) == 1
    held.prior("a", 0, 0, "late", DEADLINE)
    assert held.full("a")
    assert leave(held, DEADLINE) == []
    assert not held.full("a")


def test_what_a_late_prior_used_up_is_committed_with_the_next_image() -> None:
    held = join("a")
    held.image(0, "one", 0.0)
    assert leave(held, DEADLINE)[0].passed == {IMAGES: 1}
    held.prior("a", 0, 0, "late", DEADLINE)
    assert leave(held, DEADLINE) == []
    held.image(1, "two", DEADLINE)
    (left,) = leave(held, 2 * DEADLINE)
    assert left.passed == {IMAGES: 2, "a": 1}


def test_repeated_prior_is_used_once() -> None:
    held = join("a")
    held.image(0, "one", 0)
    held.image(1, "two", 0)
    held.prior("a", 0, 0, "first", 0)
    held.prior("a", 1, 0, "again", 0)
    held.prior("a", 2, 1, "second", 0)
    assert [each.priors for each in leave(held)] == [{"a": "first"}, {"a": "second"}]
    assert held.late == 1


def test_unreadable_image_leaves_in_its_place() -> None:
    held = join("a")
    held.image(0, "one", 0)
    held.image(1, "garbage", 0, readable=False)
    held.image(2, "two", 0)
    held.prior("a", 0, 0, "first", 0)
    held.prior("a", 1, 2, "second", 0)
    one, garbage, two = leave(held)
    assert (one.image, two.image) == ("one", "two")
    assert garbage == Joined(None, {}, {}, {IMAGES: 2}, "garbage")
    assert two.priors == {"a": "second"}


def test_unreadable_image_waits_for_nobody() -> None:
    held = join("a")
    held.image(0, "garbage", 0, readable=False)
    assert [each.unreadable for each in leave(held)] == ["garbage"]


def test_priors_for_an_unreadable_image_are_late() -> None:
    held = join("a")
    held.image(0, "garbage", 0, readable=False)
    held.image(1, "one", 0)
    held.prior("a", 0, 0, "for garbage", 0)
    held.prior("a", 1, 1, "first", 0)
    assert [each.priors for each in leave(held)] == [{}, {"a": "first"}]


def test_unreadable_prior_leaves_at_once_and_costs_its_image_one_prior() -> None:
    held = join("a")
    held.image(0, "one", 0)
    held.prior("a", 5, None, "garbage", 0)
    assert leave(held) == [Joined(None, {}, {}, {"a": 6}, "garbage")]
    held.image(1, "two", 0)
    held.prior("a", 6, 1, "second", 0)
    assert [each.priors for each in leave(held)] == [{}, {"a": "second"}]


def test_unreadable_prior_is_no_word_of_an_expert_that_keeps_up() -> None:
    """One that says nothing but garbage holds the stream no longer than one that is silent."""
    held = join("a")
    held.image(0, "one", 0.0)
    held.prior("a", 0, None, "garbage", 9.0)
    assert [each.unreadable for each in leave(held, 9.0)] == ["garbage"]
    assert leave(held, DEADLINE - 0.1) == []
    assert len(leave(held, DEADLINE)) == 1


def test_window_counts_each_stream_for_itself() -> None:
    held = join("a", "b", window=4)
    for offset in range(4):
        held.prior("a", offset, offset, "prior", 0)
    assert held.full("a") and not held.full("b") and not held.full(IMAGES)
    for offset in range(2):
        held.image(offset, "image", 0)
        held.prior("b", offset, offset, "prior", 0)
    assert not held.half_empty("a") and held.half_empty("b") and held.half_empty(IMAGES)
    assert len(leave(held)) == 2
    assert not held.full("a") and held.half_empty("a")


def test_expert_a_million_priors_ahead_is_held_at_the_window() -> None:
    held = join("ahead", "slow", window=1000)
    given = {IMAGES: 0, "ahead": 0}
    left = 0
    for slow in range(20_000):
        for stream in (IMAGES, "ahead"):
            while not held.full(stream) and given[stream] < 1_000_000:
                at = given[stream]
                if stream == IMAGES:
                    held.image(at, "image", 0.0)
                else:
                    held.prior(stream, at, at, "prior", 0.0)
                given[stream] = at + 1
            assert held.held <= 2 * 1000
        held.prior("slow", slow, slow, "slow", 0.0)
        left += sum(set(each.priors) == {"ahead", "slow"} for each in leave(held))
    assert left == 20_000 and held.late == 0
