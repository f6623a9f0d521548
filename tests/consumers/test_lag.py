from __future__ import annotations

import json
import time
from collections import deque

import pytest
from confluent_kafka import Message
from prometheus_client import REGISTRY

from consumers.client_stats import ClientStats, Fetching
from consumers.lag import Lag
from consumers.lanes import Lanes
from consumers.source import Arrival
from consumers.stage import Record

PLACE = ("topic", 0)


class HeldSource:
    """A source of which only is known what it holds."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, int], int] = {}

    def lanes(self, partitions: set[tuple[str, int]]) -> set[tuple[str, int]]:
        return partitions

    def oldest(self) -> dict[tuple[str, int], int]:
        return self.held


def fetching(following: int, end: int, *, committed: int = -1001, queued: int = 0) -> Fetching:
    return Fetching(following, end, committed, queued, "active")


def shown(stage: str, name: str = "records") -> float | None:
    return REGISTRY.get_sample_value(
        f"densefusion_consumer_lag_{name}", {"stage": stage, "topic": "topic", "partition": "0"}
    )


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(10)


@pytest.fixture
def source() -> HeldSource:
    return HeldSource()


def lag(stage: str, lanes: Lanes, source: HeldSource) -> Lag:
    return Lag(stage, lanes, source)  # type: ignore[arg-type]


def test_from_what_is_committed_to_the_end(lanes: Lanes, source: HeldSource) -> None:
    measured = lag("to-the-end", lanes, source)
    measured.committed({PLACE: 40})
    measured.measure({PLACE: fetching(60, 100)}, {PLACE})
    assert shown("to-the-end") == 60


def test_markers_are_no_lag_once_all_is_fetched_and_done(lanes: Lanes, source: HeldSource) -> None:
    measured = lag("markers", lanes, source)
    measured.committed({PLACE: 99})
    measured.measure({PLACE: fetching(100, 100)}, {PLACE})
    assert shown("markers") == 0 and shown("markers", "seconds") == 0


@pytest.mark.parametrize("where", ["queued", "polled", "in work"])
def test_what_is_in_hand_is_not_done(where: str, lanes: Lanes, source: HeldSource) -> None:
    measured = lag(where, lanes, source)
    measured.committed({PLACE: 99})
    if where == "polled":
        source.held[PLACE] = int(time.time() * 1000)
    if where == "in work":
        lanes.add(aged(0))
    measured.measure({PLACE: fetching(100, 100, queued=int(where == "queued"))}, {PLACE})
    assert shown(where) == 1


def aged(seconds: float) -> Arrival:
    came = int((time.time() - seconds) * 1000)
    message = Message(topic="topic", partition=0, offset=0, timestamp=(1, came))
    return Arrival(PLACE, {PLACE: 1}, message, Record("topic", 0, 0, "key", {}, b""))


def test_what_is_in_hand_of_another_partition_is_no_lag_here(
    lanes: Lanes, source: HeldSource
) -> None:
    measured = lag("another", lanes, source)
    measured.committed({PLACE: 99})
    source.held[("topic", 1)] = 1
    measured.measure({PLACE: fetching(100, 100)}, {PLACE})
    assert shown("another") == 0 and shown("another", "seconds") == 0


def test_a_group_that_has_committed_nothing_yet_is_behind_all_the_same(
    lanes: Lanes, source: HeldSource
) -> None:
    measured = lag("fresh", lanes, source)
    lanes.add(aged(9))
    measured.measure({PLACE: fetching(15, 15)}, {PLACE})
    assert shown("fresh") == 1 and shown("fresh", "seconds") == pytest.approx(9, abs=1)


def test_an_end_that_is_behind_what_was_fetched(lanes: Lanes, source: HeldSource) -> None:
    measured = lag("end", lanes, source)
    lanes.add(aged(0))
    measured.measure({PLACE: fetching(15, 1, committed=5)}, {PLACE})
    assert shown("end") == 10


def test_seconds_are_the_age_of_the_oldest(lanes: Lanes, source: HeldSource) -> None:
    measured = lag("age", lanes, source)
    lanes.add(aged(30))
    lanes.add(aged(5))
    source.held[PLACE] = int((time.time() - 2) * 1000)
    measured.measure({PLACE: fetching(2, 10, committed=0)}, {PLACE})
    assert shown("age", "seconds") == pytest.approx(30, abs=1)


def test_seconds_grow_while_nothing_comes(
    lanes: Lanes, source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = lag("stalled", lanes, source)
    now = time.monotonic()
    for passed in (0, 40):
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: now + passed)
        measured.measure({PLACE: fetching(5, 10, committed=5)}, {PLACE})
    assert shown("stalled") == 5 and shown("stalled", "seconds") == 40


@pytest.mark.parametrize("jump", [-3600.0, 3600.0], ids=["back", "forward"])
def test_a_clock_that_is_set_is_no_lag(
    jump: float, lanes: Lanes, source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = lag("clock", lanes, source)
    now = time.time()
    for passed in (0.0, jump):
        monkeypatch.setattr(time, "time", lambda passed=passed: now + passed)
        measured.measure({PLACE: fetching(5, 10, committed=5)}, {PLACE})
    assert shown("clock", "seconds") == pytest.approx(0, abs=1)


class JoinedSource(HeldSource):
    """One whose partitions all wait in one lane, as those of a join do."""

    def lanes(self, partitions: set[tuple[str, int]]) -> set[tuple[str, int]]:
        return {("images", 0)}


def test_a_prior_waits_as_long_as_its_image(lanes: Lanes) -> None:
    source = JoinedSource()
    measured = lag("join", lanes, source)
    measured.committed({PLACE: 95})
    source.held["images", 0] = int((time.time() - 7) * 1000)
    measured.measure({PLACE: fetching(98, 98)}, {PLACE})
    assert shown("join") == 3 and shown("join", "seconds") == pytest.approx(7, abs=1)
    source.held.clear()
    measured.measure({PLACE: fetching(98, 98)}, {PLACE})
    assert shown("join") == 0 and shown("join", "seconds") == 0


def test_seconds_start_anew_with_progress(
    lanes: Lanes, source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = lag("progress", lanes, source)
    now = time.monotonic()
    for passed in (0, 40):
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: now + passed)
        measured.committed({PLACE: passed})
        measured.measure({PLACE: fetching(passed, passed + 3)}, {PLACE})
        assert shown("progress", "seconds") == 0


@pytest.mark.parametrize(
    "told",
    [
        fetching(-1001, -1001),
        fetching(5, -1001, committed=5),
        fetching(7, 3, committed=7),  # a broker that tells an end too low
        fetching(-1001, 3),
    ],
)
def test_never_negative_nor_a_guess(told: Fetching, lanes: Lanes, source: HeldSource) -> None:
    measured = lag("unknown", lanes, source)
    measured.measure({PLACE: told}, {PLACE})
    assert shown("unknown") == 0


def test_revoked_partitions_are_shown_no_more(lanes: Lanes, source: HeldSource) -> None:
    measured = lag("revoked", lanes, source)
    measured.measure({PLACE: fetching(5, 10, committed=5)}, {PLACE})
    assert shown("revoked") == 5
    measured.revoked({PLACE, ("topic", 9)})
    assert shown("revoked") is None and shown("revoked", "seconds") is None
    measured.measure({PLACE: fetching(5, 10, committed=5)}, set())
    assert shown("revoked") is None, "not ours"


def statistics(received: int, *, up: bool = True) -> str:
    broker = {
        "nodeid": 1, "state": "UP" if up else "DOWN", "req_timeouts": 2, "rtt": {"p99": 250_000},
    }  # fmt: skip
    partition = {
        "partition": 0, "next_offset": 12, "ls_offset": 20, "committed_offset": 10,
        "fetchq_cnt": 3, "fetch_state": "active", "desired": True,
    }  # fmt: skip
    return json.dumps({
        "rx_bytes": received, "tx_bytes": 7,
        "brokers": {"a": broker, "bootstrap": broker | {"nodeid": -1}},
        "topics": {"topic": {"topic": "topic", "partitions": {
            "0": partition, "-1": partition | {"partition": -1},
            "1": partition | {"partition": 1, "desired": False},
        }}},
        "cgrp": {"join_state": "steady"},
    })  # fmt: skip


def test_statistics_of_the_client() -> None:
    stats = ClientStats("stats")
    told: deque[int] = deque()
    stats.told = lambda: told.append(stats.brokers)
    stats(statistics(100))
    stats(statistics(150))
    assert stats.partitions == {PLACE: Fetching(12, 20, 10, 3, "active")}
    assert stats.joined and list(told) == [1, 1]
    stage = {"stage": "stats"}
    assert REGISTRY.get_sample_value("densefusion_kafka_received_bytes_total", stage) == 150
    assert REGISTRY.get_sample_value("densefusion_kafka_request_timeouts_total", stage) == 2
    assert REGISTRY.get_sample_value("densefusion_kafka_broker_rtt_seconds", stage) == 0.25
    assert REGISTRY.get_sample_value("densefusion_kafka_prefetched_records", stage) == 3
    stats(statistics(30, up=False))  # another client, from its beginning
    assert REGISTRY.get_sample_value("densefusion_kafka_received_bytes_total", stage) == 180
    assert REGISTRY.get_sample_value("densefusion_kafka_brokers_up", stage) == 0


def test_a_spare_whose_only_connection_is_the_coordinators_is_connected() -> None:
    stats = ClientStats("spare")
    told = json.loads(statistics(0, up=False))
    told["brokers"]["bootstrap"]["state"] = "DOWN"
    stats(json.dumps(told))
    assert not stats.connected
    told["brokers"]["GroupCoordinator"] = told["brokers"]["bootstrap"] | {"state": "UP"}
    stats(json.dumps(told))
    assert stats.connected and stats.brokers == 0


@pytest.mark.parametrize("text", ["", "{}", '{"brokers": {"a": 1}}', "[]"])
def test_statistics_that_nobody_understands_stop_no_worker(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What this raises, the poll raises that it is called from."""
    stats = ClientStats("odd")
    stats(text)
    assert stats.at == 0 and [each.message for each in caplog.records] == [
        "statistics not understood"
    ]
    stats(statistics(1))
    assert stats.partitions
