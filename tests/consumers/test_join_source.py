"""Fusion's source: messages of several topics in, joined records out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers.join_source import JoinSource
from consumers.source import Arrival, drain
from tests.consumers.messages import message
from tests.consumers.records import CODEC, image, prior

EXPERTS = {"tagging": "x.priors.tagging", "ocr": "x.priors.ocr"}
IMAGES = "x.images"
DEADLINE = 10.0


def empty(
    window: int = 100, experts: dict[str, str] = EXPERTS, *, keep_late: bool = False
) -> JoinSource:
    return JoinSource(IMAGES, experts, CODEC, window=window, deadline=DEADLINE, keep_late=keep_late)


def source(
    partitions: int = 1,
    window: int = 100,
    experts: dict[str, str] = EXPERTS,
    *,
    keep_late: bool = False,
) -> JoinSource:
    made = empty(window, experts, keep_late=keep_late)
    made.assigned(
        (topic, number) for topic in [IMAGES, *experts.values()] for number in range(partitions)
    )
    return made


def listen(to: JoinSource, since: float, until: float) -> Iterator[Arrival]:
    """What may start in that time, with a poll every half second."""
    for step in range(int((until - since) * 2) + 1):
        yield from drain(to, since + step / 2)


def give_image(to: JoinSource, offset: int, partition: int = 0, now: float = 0.0) -> None:
    raw = CODEC.encode("Image", image(f"i{partition}-{offset}"), IMAGES)
    to.offer([message(IMAGES, partition, offset, raw, key=f"i{partition}-{offset}".encode())], now)


def give_prior(
    to: JoinSource, expert: str, offset: int, of: int, partition: int = 0, now: float = 0.0
) -> None:
    value = prior(expert, f"i{partition}-{of}", of, partition=partition)
    raw = CODEC.encode(f"Prior:{expert}", value, EXPERTS[expert])
    to.offer([message(EXPERTS[expert], partition, offset, raw)], now)


def test_topics_are_all_that_is_joined() -> None:
    assert set(source().topics) == {IMAGES, *EXPERTS.values()}


def test_joined_record_holds_its_priors_as_they_came() -> None:
    joined = source()
    give_image(joined, 5)
    give_prior(joined, "tagging", 8, of=5)
    assert joined.take(set(), 0.0) is None
    give_prior(joined, "ocr", 2, of=5)
    arrival = joined.take(set(), 0.0)
    assert arrival is not None and arrival.record is not None
    assert arrival.lane == (IMAGES, 0)
    assert arrival.commits == {(IMAGES, 0): 6, (EXPERTS["tagging"], 0): 9, (EXPERTS["ocr"], 0): 3}
    assert arrival.record.value["image_id"] == arrival.record.key == "i0-5"
    assert {name: each.value["expert"] for name, each in arrival.record.joined.items()} == {
        "tagging": "tagging",
        "ocr": "ocr",
    }
    for name, each in arrival.record.joined.items():
        assert CODEC.decode(f"Prior:{name}", each.raw) == each.value
    assert arrival.record.missing == {}


def test_missing_experts_are_named() -> None:
    joined = source()
    give_image(joined, 0)
    give_image(joined, 1)
    give_prior(joined, "tagging", 0, of=1)
    give_prior(joined, "ocr", 0, of=0)
    (first,) = drain(joined, 0.0)
    assert first.record is not None
    assert set(first.record.joined) == {"ocr"} and set(first.record.missing) == {"tagging"}
    (second,) = listen(joined, 0.0, DEADLINE)
    assert second.record is not None and set(second.record.missing) == {"ocr"}


def test_partitions_are_joined_each_for_itself() -> None:
    joined = source(partitions=2)
    give_image(joined, 0, partition=0)
    give_image(joined, 0, partition=1)
    for expert in EXPERTS:
        give_prior(joined, expert, 0, of=0, partition=1)
    (only,) = drain(joined, 0.0)
    assert only.lane == (IMAGES, 1)


def test_partitions_take_turns() -> None:
    """A backlog of one partition does not keep the others waiting."""
    joined = source(partitions=3, experts={})
    for partition in range(3):
        for offset in range(3):
            give_image(joined, offset, partition)
    lanes = [arrival.lane[1] for arrival in drain(joined, 0.0)]
    assert lanes == [0, 1, 2] * 3


def test_full_lanes_give_nothing() -> None:
    joined = source(partitions=2, experts={})
    give_image(joined, 0, 0)
    give_image(joined, 0, 1)
    arrival = joined.take({(IMAGES, 0)}, 0.0)
    assert arrival is not None and arrival.lane == (IMAGES, 1)
    assert joined.take({(IMAGES, 0)}, 0.0) is None


@pytest.mark.parametrize("raw", [b"garbage", b"", None])
def test_unreadable_image_arrives_with_its_error_in_its_turn(raw: bytes | None) -> None:
    joined = source(experts={})
    give_image(joined, 0)
    joined.offer([message(IMAGES, 0, 1, raw)], 0.0)
    give_image(joined, 2)
    one, broken, two = drain(joined, 0.0)
    assert one.record is not None and two.record is not None
    assert broken.record is None and broken.error is not None
    assert broken.message.offset() == 1 and broken.commits == {(IMAGES, 0): 2}


def test_unreadable_prior_arrives_with_its_error() -> None:
    joined = source()
    joined.offer([message(EXPERTS["ocr"], 0, 4, b"garbage")], 0.0)
    (broken,) = drain(joined, 0.0)
    assert broken.error is not None and broken.message.topic() == EXPERTS["ocr"]
    assert broken.lane == (IMAGES, 0), "it is committed in the order of the join"
    assert broken.commits == {(EXPERTS["ocr"], 0): 5}


def test_prior_of_another_expert_on_the_topic_is_unreadable() -> None:
    joined = source()
    raw = CODEC.encode("Prior:ocr", prior("ocr"), "")
    joined.offer([message(EXPERTS["tagging"], 0, 0, raw)], 0.0)
    (broken,) = drain(joined, 0.0)
    assert broken.error is not None


def test_stream_that_runs_ahead_is_paused_and_resumed_at_half() -> None:
    joined = source(window=4)
    place = (EXPERTS["ocr"], 0)
    for offset in range(4):
        give_prior(joined, "ocr", offset, of=offset)
    assert joined.pauses(set()) == {place}
    released = []
    for offset in range(4):
        give_image(joined, offset)
        give_prior(joined, "tagging", offset, of=offset)
        assert len(list(drain(joined, 0.0))) == 1
        released.append(place not in joined.pauses(set()))
    assert released == [False, True, True, True]


def test_images_are_paused_where_an_expert_lags() -> None:
    joined = source(window=2)
    give_image(joined, 0)
    give_image(joined, 1)
    assert joined.pauses(set()) == {(IMAGES, 0)}


def test_time_in_which_nobody_listened_is_no_silence() -> None:
    """The process was frozen, or a rebalance took long: what was said meanwhile is still unread."""
    joined = source()
    give_image(joined, 0)
    assert list(drain(joined, 100 * DEADLINE)) == []
    for expert in EXPERTS:
        give_prior(joined, expert, 0, of=0, now=100 * DEADLINE)
    (arrival,) = drain(joined, 100 * DEADLINE)
    assert arrival.record is not None and arrival.record.missing == {}


def test_what_only_waits_for_others_is_not_held_up() -> None:
    """`held` makes the worker wait for room, so it may not count what more polls would free."""
    joined = source()
    for offset in range(50):
        give_image(joined, offset)
        give_prior(joined, "tagging", offset, of=offset)
    assert list(drain(joined, 0.0)) == []
    assert joined.held == 0
    for offset in range(50):
        give_prior(joined, "ocr", offset, of=offset)
    assert joined.take(set(), 0.0) is not None and joined.held == 49 * 3
    assert joined.take({(IMAGES, 0)}, 0.0) is None and joined.held == 49 * 3
    joined.revoked((topic, 0) for topic in joined.topics)
    assert joined.take(set(), 0.0) is None and joined.held == 0
