"""Each partition is given its start; one whose start is not known yet is kept paused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from consumers import starting
from consumers.starting import Starting
from densefusion.errors import BrokerError, Refused
from densefusion.settings import Kafka

A, B = ("topic", 0), ("topic", 1)
HELD_BACK = KafkaError(KafkaError._TIMED_OUT, "timed out")
RIGHT = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "not authorized")


class Asked:
    """A consumer that notes what is asked of it.

    Attributes:
        stands: what is committed, by partition.
        fails: raised instead of an answer.
    """

    def __init__(self, stands: Mapping[tuple[str, int], int]) -> None:
        self.stands = stands
        self.fails: KafkaError | None = None
        self.calls: list[tuple[str, dict[tuple[str, int], int]]] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.fails is not None:
            raise KafkaException(self.fails)
        return [
            TopicPartition(at.topic, at.partition, self.stands[at.topic, at.partition])
            for at in places
        ]

    def _note(self, what: str, places: list[TopicPartition]) -> None:
        self.calls.append((what, {(at.topic, at.partition): at.offset for at in places}))

    def assign(self, places: list[TopicPartition]) -> None:
        self._note("assign", places)

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self._note("incremental_assign", places)

    def pause(self, places: list[TopicPartition]) -> None:
        self._note("pause", places)

    def seek(self, place: TopicPartition) -> None:
        self._note("seek", [place])


class Further:
    """In place of `Passed`: where others have come."""

    def __init__(self, places: Mapping[tuple[str, int], int]) -> None:
        self._places = places

    def further(self, stands: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        assert self._places.keys() <= stands.keys()
        return self._places


def given(
    consumer: Any, *, protocol: str = "classic", patience: float = 5.0, passed: Any = None
) -> Starting:
    """What a member has that was just given A and B."""
    kafka = Kafka(retry_for=patience, group_protocol=protocol)  # type: ignore[arg-type]
    starts = Starting(kafka, passed)
    starts.assign(consumer, [TopicPartition(*A), TopicPartition(*B)])
    return starts


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_AGAIN_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("protocol", "call"), [("classic", "assign"), ("consumer", "incremental_assign")]
)
def test_each_starts_where_the_group_stands(protocol: str, call: str) -> None:
    consumer = Asked({A: 7, B: -1001})
    starts = given(consumer, protocol=protocol)
    assert consumer.calls == [(call, {A: 7, B: OFFSET_BEGINNING})]
    assert starts.stands == {A: 7, B: -1001} and not starts.waiting


def test_or_further_on() -> None:
    consumer = Asked({A: 7, B: -1001})
    starts = given(consumer, passed=Further({B: 40}))
    assert consumer.calls == [("assign", {A: 7, B: 40})]
    assert starts.stands[B] == -1001, "what was committed, for the lag"


def test_what_is_not_known_yet_is_paused_until_it_is() -> None:
    consumer = Asked({A: 7, B: -1001})
    consumer.fails = HELD_BACK
    starts = given(consumer)
    assert starts.waiting == {A, B} and not starts.stands
    assert [(what, set(places)) for what, places in consumer.calls] == [
        ("assign", {A, B}), ("pause", {A, B}),
    ]  # fmt: skip
    starts.look(consumer)  # type: ignore[arg-type]
    assert starts.waiting == {A, B}
    consumer.fails = None
    starts.look(consumer)  # type: ignore[arg-type]
    assert sorted(map(str, consumer.calls[2:])) == sorted(
        map(str, [("seek", {A: 7}), ("seek", {B: OFFSET_BEGINNING})])
    )
    assert not starts.waiting and starts.stands == {A: 7, B: -1001}
    starts.look(consumer)  # type: ignore[arg-type]
    assert len(consumer.calls) == 4


def test_what_has_been_taken_away_waits_no_more() -> None:
    consumer = Asked({A: 7, B: 8})
    consumer.fails = HELD_BACK
    starts = given(consumer)
    starts.revoked({A})
    assert starts.waiting == {B}
    consumer.fails = None
    starts.look(consumer)  # type: ignore[arg-type]
    assert consumer.calls[2:] == [("seek", {B: 8})]
    starts.revoked({B})
    assert not starts.stands


@pytest.mark.parametrize(
    ("error", "kind"), [(HELD_BACK, BrokerError), (RIGHT, Refused)], ids=["away", "no right"]
)
def test_not_for_ever(error: KafkaError, kind: type[BrokerError]) -> None:
    consumer = Asked({A: 7, B: 8})
    consumer.fails = error
    starts = given(consumer, patience=0.05 if kind is BrokerError else 60.0)
    with pytest.raises(kind, match="where the group stands"):
        while True:
            starts.look(consumer)  # type: ignore[arg-type]


class Polled:
    """A message, or a partition's error."""

    def __init__(self, at: tuple[str, int], offset: int, error: KafkaError | None = None) -> None:
        self._at, self._offset, self._error = at, offset, error

    def topic(self) -> str:
        return self._at[0]

    def partition(self) -> int:
        return self._at[1]

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


def test_what_comes_from_before_the_start_is_done_already() -> None:
    consumer = Asked({A: 7, B: 0})
    consumer.fails = HELD_BACK
    starts = given(consumer)
    early, error = Polled(A, 0), Polled(A, 0, HELD_BACK)
    assert starts.fresh([early, error]) == [error]  # type: ignore[list-item, comparison-overlap]
    consumer.fails = None
    starts.look(consumer)  # type: ignore[arg-type]
    seven, eight, other = Polled(A, 7), Polled(A, 8), Polled(B, 0)
    polled: list[Any] = [Polled(A, 6), seven, other, Polled(A, 7), eight]
    assert starts.fresh(polled) == [seven, other, eight]  # type: ignore[comparison-overlap]
    starts.again(consumer, {A})  # type: ignore[arg-type]
    assert starts.fresh([seven]) == [seven]  # type: ignore[list-item, comparison-overlap]
    starts.revoked({A, B})
    assert starts.fresh([early]) == [early]  # type: ignore[list-item, comparison-overlap]
