"""Records finish in any order; what is committed is a prefix, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.lanes import Batch, Lanes, Slot
from tests.consumers.messages import arrival, outgoing

A, B = ("topic", 0), ("topic", 1)


def fill(lanes: Lanes, lane: tuple[str, int], count: int, start: int = 0) -> list[Slot]:
    return [lanes.add(arrival(lane, offset)) for offset in range(start, start + count)]


def finish(*slots: Slot) -> None:
    for slot in slots:
        slot.outgoing = [outgoing(b"%d" % slot.arrival.commits[slot.arrival.lane])]


def values(batch: Batch) -> list[bytes]:
    return [each.value for each in batch.outgoing()]


def test_only_the_finished_prefix_is_taken() -> None:
    lanes = Lanes(10)
    first, second, third = fill(lanes, A, 3)
    finish(second, third)
    assert lanes.take_finished().slots == []
    finish(first)
    assert lanes.take_finished().slots == [first, second, third]
    assert len(lanes) == 0


def test_one_lane_does_not_hold_up_another() -> None:
    lanes = Lanes(10)
    fill(lanes, A, 1)
    b = fill(lanes, B, 2)
    finish(b[0])
    batch = lanes.take_finished()
    assert batch.slots == [b[0]] and batch.offsets() == {B: 1}
    assert len(lanes) == 2


def test_record_without_output_counts_as_finished() -> None:
    lanes = Lanes(10)
    first, second = fill(lanes, A, 2)
    first.outgoing = []
    finish(second)
    batch = lanes.take_finished()
    assert values(batch) == [b"2"] and batch.offsets() == {A: 2}


def test_offsets_are_those_of_the_last_record_for_every_stream_of_a_join() -> None:
    lanes = Lanes(10)
    slots = fill(lanes, A, 3)
    slots[0].arrival.commits = {A: 1, ("priors", 0): 7, ("other", 0): 4}
    slots[1].arrival.commits = {A: 2, ("priors", 0): 8}
    finish(*slots[:2])
    assert lanes.take_finished().offsets() == {A: 2, ("priors", 0): 8, ("other", 0): 4}


def test_taking_only_some_lanes() -> None:
    lanes = Lanes(10)
    a, b = fill(lanes, A, 1), fill(lanes, B, 1)
    finish(*a, *b)
    assert lanes.take_finished({B}).slots == b
    assert lanes.take_finished().slots == a


def test_put_back_restores_order() -> None:
    lanes = Lanes(10)
    slots = fill(lanes, A, 4)
    finish(slots[0], slots[1])
    batch = lanes.take_finished()
    finish(slots[2])
    lanes.put_back(batch)
    assert len(lanes) == 4
    assert lanes.take_finished().slots == slots[:3]


def test_put_back_of_a_lane_that_was_dropped() -> None:
    lanes = Lanes(10)
    finish(*fill(lanes, A, 2))
    batch = lanes.take_finished()
    assert lanes.drop({A}) == []
    lanes.put_back(batch)
    assert len(lanes) == 0


def test_put_back_of_a_lane_that_was_dropped_and_came_back() -> None:
    """The partition was lost and given again: its records are read anew, and not doubled."""
    lanes = Lanes(10)
    finish(*fill(lanes, A, 2))
    batch = lanes.take_finished()
    lanes.drop({A})
    again = fill(lanes, A, 2)
    lanes.put_back(batch)
    finish(*again)
    assert lanes.take_finished().slots == again


def test_drop_gives_what_was_in_it() -> None:
    lanes = Lanes(10)
    a, b = fill(lanes, A, 2), fill(lanes, B, 1)
    assert lanes.drop({A, ("unknown", 9)}) == a
    assert len(lanes) == 1
    finish(*b)
    assert lanes.take_finished().slots == b


def test_full_counts_finished_records_too() -> None:
    lanes = Lanes(2)
    slots = fill(lanes, A, 1)
    assert lanes.full == set()
    slots += fill(lanes, A, 1, start=1)
    finish(slots[1])
    assert lanes.full == {A}
    finish(slots[0])
    lanes.take_finished()
    assert lanes.full == set()


def test_bytes_are_those_of_the_output() -> None:
    (slot,) = fill(Lanes(1), A, 1)
    assert slot.bytes() == 0
    slot.outgoing = [outgoing(b"12345"), outgoing(b"678")]
    assert slot.bytes() == 8


@given(data=st.data(), counts=st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_any_finish_order_with_aborts_gives_every_record_once_in_order(
    data: st.DataObject, counts: list[int]
) -> None:
    lanes = Lanes(100)
    places = [("topic", number) for number in range(len(counts))]
    slots = {place: fill(lanes, place, count) for place, count in zip(places, counts, strict=True)}
    committed: dict[tuple[str, int], int] = dict.fromkeys(places, 0)
    done = []
    finishing = data.draw(st.permutations([slot for lane in slots.values() for slot in lane]))
    for slot in finishing:
        finish(slot)
        step = data.draw(st.sampled_from(["work on", "commit", "abort"]))
        if step == "work on":
            continue
        batch = lanes.take_finished()
        if step == "abort":
            lanes.put_back(batch)
            continue
        done += batch.slots
        for place, offset in batch.offsets().items():
            assert offset > committed[place]
            committed[place] = offset
            finished = [each.outgoing is not None for each in slots[place]]
            assert all(finished[:offset]), "committed beyond unfinished work"
    done += lanes.take_finished().slots
    for place, held in slots.items():
        assert [slot for slot in done if slot.arrival.lane == place] == held
    assert len(lanes) == 0
