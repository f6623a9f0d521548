"""A replay over scripted topics: each once, up to the cap and the limit, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Message

from consumers.outputs import Outputs
from consumers.source import Arrival
from consumers.stage import Record, Rejected
from densefusion.attempts import ATTEMPT
from densefusion.errors import BrokerError
from densefusion.replay import Kind, Outcome, Replay, Report, Selection, replay
from densefusion.replay.origin import Origin
from densefusion.settings import Kafka
from densefusion.topics import DEAD_LETTERS, REJECTS, URLS, Topic
from schemas import Codec
from tests.consumers.messages import message
from tests.consumers.records import url

CODEC = Codec()
FOUND = {name: Topic(name, 1, "log") for name in (URLS, REJECTS, DEAD_LETTERS)}


class Brokers:
    """What has been put back and marked, across replays."""

    def __init__(self) -> None:
        self.put_back: list[Origin] = []
        self.marked: set[bytes] = set()
        self.transactions = 0
        self.fail_at: int | None = None
        self.too_large: set[int] = set()
        self.claims: list[int] = []


class Marks:
    brokers: Brokers

    def __init__(self, settings: Kafka) -> None:
        self.topic = "replayed"
        self._held: set[bytes] = set()

    def create(self) -> None: ...

    def read(self) -> None:
        self._held = set(self.brokers.marked)

    def add(self, origin: Origin) -> None:
        self._held.add(origin.identity)

    def __contains__(self, origin: Origin) -> bool:
        return origin.identity in self._held


class Putting:
    brokers: Brokers

    def __init__(self, settings: Kafka, marks: str) -> None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def put(self, origins: Sequence[Origin]) -> tuple[int, list[Origin]]:
        if self.brokers.transactions == self.brokers.fail_at:
            raise BrokerError("down")
        self.brokers.transactions += 1
        refused = [each for each in origins if each.offset in self.brokers.too_large]
        self.brokers.put_back += [each for each in origins if each not in refused]
        self.brokers.marked |= {each.identity for each in origins if each not in refused}
        return 0, refused


class Claims:
    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers

    def take_back(self, origin: Origin) -> bool:
        self._brokers.claims.append(origin.offset)
        return False


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    Marks.brokers = Putting.brokers = brokers
    monkeypatch.setattr(replay, "Marks", Marks)
    monkeypatch.setattr(replay, "Putting", Putting)
    return brokers


def reject(
    offset: int, reason: str = "timeout", attempt: int = 1, at: int | None = None
) -> Message:
    """The reject of the URL at `offset`, which lies at `at` on ``rejects``."""
    headers: list[Any] = [(ATTEMPT, str(attempt).encode())] if attempt > 1 else []
    came = message(URLS, 0, offset, b"%d" % offset, b"k", headers)
    record = Record(URLS, 0, offset, "k", url(offset), b"")
    arrival = Arrival((URLS, 0), {}, came, record)
    (out,) = Outputs("fetch", CODEC, "").rejected(Rejected(reason), arrival)
    return message(REJECTS, 0, offset if at is None else at, out.value, b"k", out.headers)


def run(
    monkeypatch: pytest.MonkeyPatch,
    brokers: Brokers,
    messages: Iterable[Message],
    selection: Selection,
    *,
    stop_after: int | None = None,
    look: bool = False,
) -> Report:
    def read(settings: Kafka, topic: Topic, progress: object) -> Iterator[list[Message]]:
        assert topic.name == REJECTS
        for each in messages:
            yield [each]

    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    monkeypatch.setattr(replay, "messages", read)
    one = Replay(
        Kind.REJECTS,
        selection,
        Kafka(bootstrap="nowhere:1"),
        FOUND,
        CODEC,
        Claims(brokers),  # type: ignore[arg-type]
        stopped=stopped,
    )
    return one.look() if look else one.run()


ALL = Selection(reasons=["*"])


def test_each_once_in_order(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    rejects = [reject(number) for number in range(1200)]
    report = run(monkeypatch, brokers, rejects, ALL)
    assert report.total(Outcome.PUT_BACK) == 1200 and report.complete and report.all_back
    assert [each.offset for each in brokers.put_back] == list(range(1200))
    assert brokers.claims == list(range(1200))
    assert brokers.transactions == 3
    again = run(monkeypatch, brokers, rejects, ALL)
    assert again.total(Outcome.ALREADY) == 1200 and again.total(Outcome.PUT_BACK) == 0
    assert brokers.transactions == 3


def test_others_stay_for_a_later_command(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    rejects = [reject(n, "timeout" if n % 2 else "http-404") for n in range(10)]
    run(monkeypatch, brokers, rejects, Selection(reasons=["timeout"]))
    assert [each.offset for each in brokers.put_back] == [1, 3, 5, 7, 9]
    run(monkeypatch, brokers, rejects, Selection(reasons=["http-*"]))
    assert [each.offset for each in brokers.put_back[5:]] == [0, 2, 4, 6, 8]


def test_a_reject_that_lies_there_twice_is_one(
    monkeypatch: pytest.MonkeyPatch, brokers: Brokers
) -> None:
    """As an aborted transaction leaves it on the embedded broker."""
    rejects = [reject(1), reject(1, at=2), *(reject(n) for n in range(3, 600)), reject(1, at=900)]
    report = run(monkeypatch, brokers, rejects, ALL)
    assert [each.offset for each in brokers.put_back].count(1) == 1
    assert report.total(Outcome.ALREADY) == 2


def test_the_cap(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    rejects = [reject(n, attempt=n) for n in range(1, 6)]
    report = run(monkeypatch, brokers, rejects, Selection(reasons=["*"], max_attempts=3))
    assert [each.offset for each in brokers.put_back] == [1, 2]
    assert report.total(Outcome.AT_CAP) == 3 and not report.all_back
    left = report.as_object()["left"]
    assert [each["attempt"] for each in left] == [3, 4, 5]
    assert left[0]["subject"] == url(3)["url"] and left[0]["why"] == "this was attempt 3 of 3"


def test_the_limit_counts_what_is_put_back(
    monkeypatch: pytest.MonkeyPatch, brokers: Brokers
) -> None:
    rejects = [reject(n, attempt=3 if n < 5 else 1) for n in range(1300)]
    few = Selection(reasons=["*"], limit=7)
    report = run(monkeypatch, brokers, rejects, few)
    assert [each.offset for each in brokers.put_back] == list(range(5, 12))
    assert report.total(Outcome.OVER_LIMIT) == 1300 - 5 - 7
    run(monkeypatch, brokers, rejects, Selection(reasons=["*"], limit=600))
    assert [each.offset for each in brokers.put_back] == list(range(5, 612))


def test_looking_writes_nothing(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    report = run(monkeypatch, brokers, [reject(n) for n in range(700)], ALL, look=True)
    assert report.total(Outcome.PUT_BACK) == 700
    assert (brokers.transactions, brokers.claims, brokers.put_back) == (0, [], [])


def test_interrupted_it_goes_on_later(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    rejects = [reject(number) for number in range(1200)]
    report = run(monkeypatch, brokers, rejects, ALL, stop_after=700)
    assert not report.complete and report.total(Outcome.PUT_BACK) == 500  # nothing half done
    run(monkeypatch, brokers, rejects, ALL)
    assert sorted(each.offset for each in brokers.put_back) == list(range(1200))


def test_a_broker_that_dies_midway(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    rejects = [reject(number) for number in range(1200)]
    brokers.fail_at = 1
    with pytest.raises(BrokerError):
        run(monkeypatch, brokers, rejects, ALL)
    brokers.fail_at = None
    run(monkeypatch, brokers, rejects, ALL)
    assert sorted(each.offset for each in brokers.put_back) == list(range(1200))


def test_what_is_too_large_to_publish_is_left(
    monkeypatch: pytest.MonkeyPatch, brokers: Brokers
) -> None:
    brokers.too_large = {3}
    report = run(monkeypatch, brokers, [reject(n) for n in range(5)], ALL)
    assert [each.offset for each in brokers.put_back] == [0, 1, 2, 4]
    assert report.left[0][2] == "it is too large to be published"
