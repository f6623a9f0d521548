"""The source of one topic: order kept, buffers bounded, partitions in turn."""

from __future__ import annotations

import pytest

from consumers.source import TopicSource, drain
from schemas import SchemaError
from tests.consumers.messages import message
from tests.consumers.records import CODEC, url

TOPIC = "x.urls"


def source(partitions: int = 1, depth: int = 256) -> TopicSource:
    made = TopicSource({TOPIC: "ImageUrl"}, CODEC, depth=depth)
    made.assigned((TOPIC, number) for number in range(partitions))
    return made


def give(to: TopicSource, partition: int, *offsets: int) -> None:
    for offset in offsets:
        raw = CODEC.encode("ImageUrl", url(offset), TOPIC)
        to.offer([message(TOPIC, partition, offset, raw, key=b"k\xff")], 0.0)


def test_record_says_where_it_comes_from() -> None:
    made = source()
    give(made, 0, 41)
    (arrival,) = drain(made, 0.0)
    assert arrival.lane == (TOPIC, 0) and arrival.commits == {(TOPIC, 0): 42}
    record = arrival.record
    assert record is not None
    assert (record.topic, record.partition, record.offset) == (TOPIC, 0, 41)
    assert record.value == url(41) and record.key == "k\ufffd"
    assert CODEC.decode("ImageUrl", record.raw) == record.value


def test_partitions_take_turns_and_keep_their_order() -> None:
    made = source(3)
    for partition in range(3):
        give(made, partition, 0, 2, 9)
    taken = [(each.lane[1], each.message.offset()) for each in drain(made, 0.0)]
    assert [lane for lane, _ in taken] == [0, 1, 2] * 3
    for partition in range(3):
        assert [offset for lane, offset in taken if lane == partition] == [0, 2, 9]


def test_full_lanes_are_passed_over() -> None:
    made = source(2)
    give(made, 0, 0)
    give(made, 1, 0)
    arrival = made.take({(TOPIC, 0)}, 0.0)
    assert arrival is not None and arrival.lane == (TOPIC, 1)
    assert made.take({(TOPIC, 0)}, 0.0) is None
    assert made.take(set(), 0.0) is not None


@pytest.mark.parametrize("raw", [b"", None, b"garbage", b"\xc3\x01" + bytes(8)])
def test_unreadable_message_says_so_when_it_is_looked_into(raw: bytes | None) -> None:
    made = source()
    made.offer([message(TOPIC, 0, 3, raw)], 0.0)
    (arrival,) = drain(made, 0.0)
    assert arrival.record is not None
    with pytest.raises(SchemaError):
        assert arrival.record.value
    assert arrival.commits == {(TOPIC, 0): 4}


def test_message_without_a_key() -> None:
    made = source()
    raw = CODEC.encode("ImageUrl", url(), TOPIC)
    made.offer([message(TOPIC, 0, 0, raw, key=None)], 0.0)
    (arrival,) = drain(made, 0.0)
    assert arrival.record is not None and arrival.record.key == ""


def test_two_topics_with_a_schema_each() -> None:
    made = TopicSource({"urls": "ImageUrl", "rejects": "Reject"}, CODEC)
    made.assigned([("urls", 0), ("rejects", 0)])
    raw = CODEC.encode("ImageUrl", url(), "urls")
    made.offer([message("urls", 0, 0, raw)], 0.0)
    made.offer([message("rejects", 0, 0, raw)], 0.0)
    good, bad = drain(made, 0.0)
    assert good.record is not None and good.record.value["url"] == url()["url"]
    with pytest.raises(SchemaError):
        assert bad.record is not None and bad.record.value


def test_busy_stream_is_not_paused() -> None:
    made = source(2, depth=8)
    give(made, 0, *range(7))
    assert made.pauses(set()) == set()


def test_stalled_stream_is_paused_where_it_holds_most_and_resumed_below_half() -> None:
    made = source(2, depth=4)
    give(made, 0, 0, 1, 2, 3)
    paused = []
    for _ in range(4):
        paused.append(made.pauses(set()))
        made.take(set(), 0.0)
    assert paused == [{(TOPIC, 0)}, {(TOPIC, 0)}, {(TOPIC, 0)}, set()]
    assert made.held == 0


def test_revoked_partition_is_forgotten() -> None:
    made = source(2)
    give(made, 0, 0)
    give(made, 1, 0)
    made.revoked([(TOPIC, 0), ("unknown", 5)])
    give(made, 0, 1)  # polled before, offered after
    assert [each.lane for each in drain(made, 0.0)] == [(TOPIC, 1)]
    made.assigned([(TOPIC, 0)])
    give(made, 0, 7)
    assert [each.message.offset() for each in drain(made, 0.0)] == [7]
