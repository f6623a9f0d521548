"""A topic is read to the end that it had, whatever the brokers do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from densefusion.errors import BrokerError
from densefusion.replay import reading
from densefusion.settings import Kafka
from densefusion.topics import Topic

OLD, NEW = 1, 1 << 50  # milliseconds: before and after every test


def said(offset: int, time_ms: int = OLD, partition: int = 0) -> Message:
    return Message(
        topic="t", partition=partition, offset=offset, value=b"v", timestamp=(1, time_ms)
    )


def eof(offset: int, partition: int = 0) -> Message:
    error = KafkaError(KafkaError._PARTITION_EOF)
    return Message(topic="t", partition=partition, offset=offset, error=error)


class Scripted:
    """A consumer that gives one list of messages a poll, then nothing."""

    def __init__(self, ends: Sequence[int], polls: Sequence[Sequence[Message] | float]) -> None:
        self._ends = ends
        self._polls = list(polls)
        self.closed = False

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        end = self._ends[place.partition]
        if end < 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return 0, end

    def assign(self, places: object) -> None: ...

    def consume(self, number: int, timeout: float) -> Sequence[Message]:
        if not self._polls:
            time.sleep(0.01)
            return []
        polled = self._polls.pop(0)
        if isinstance(polled, float):
            time.sleep(polled)
            return []
        return polled

    def close(self) -> None:
        self.closed = True


def read(
    monkeypatch: pytest.MonkeyPatch,
    ends: Sequence[int],
    polls: Sequence[Sequence[Message] | float],
    retry_for: float = 5,
) -> list[tuple[int, int]]:
    consumer = Scripted(ends, polls)
    monkeypatch.setattr(reading, "Consumer", lambda config: consumer)
    monkeypatch.setattr(reading, "_QUIET", 0.05)
    settings = Kafka(bootstrap="nowhere:1", retry_for=retry_for)
    try:
        found = [
            (message.partition() or 0, message.offset() or 0)
            for batch in reading.messages(settings, Topic("t", len(ends), "log"))
            for message in batch
        ]
    finally:
        assert consumer.closed
    return found


def test_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = [[said(0), said(0, partition=1)], [said(1), said(2)]]
    assert read(monkeypatch, [3, 1], polls) == [(0, 0), (1, 0), (0, 1), (0, 2)]


def test_an_empty_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, [0, 0], []) == []


def test_markers_at_the_end_are_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction's marker takes an offset and is never delivered."""
    assert read(monkeypatch, [3], [[said(0)], [eof(3)]]) == [(0, 0)]


def test_what_comes_after_the_start_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = [[said(0), said(1)], [said(2, NEW)], [said(3, NEW)]]
    assert read(monkeypatch, [2], polls) == [(0, 0), (0, 1)]


def test_a_last_batch_behind_the_end_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded broker's end is the base of its last batch, plus one."""
    assert read(monkeypatch, [1], [[said(0), said(1), said(2)]]) == [(0, 0), (0, 1), (0, 2)]


def test_a_broker_that_stalls_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[Sequence[Message] | float] = [[said(0)], 0.6, [eof(1)], 0.6, [said(1)]]
    assert read(monkeypatch, [2], polls) == [(0, 0), (0, 1)]


def test_a_broker_that_goes_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="ends 2 offsets further on"):
        read(monkeypatch, [3], [[said(0)]], retry_for=0.2)


def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="t: "):
        read(monkeypatch, [3, -1], [])
