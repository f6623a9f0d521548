"""What becomes of a transaction that fails, with a scripted producer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers import bounded, transaction
from consumers.transaction import Aborted, Outgoing, Transactions, Uncertain
from densefusion.errors import BrokerError

OFFSETS = {("in", 0): 7}
MESSAGES = [Outgoing("out", b"k", b"v", [])]
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
ABORTABLE = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "not a member", txn_requires_abort=True)
AWAY = KafkaError(KafkaError._TIMED_OUT, "timed out", retriable=True)
STATE = KafkaError(KafkaError._STATE, "not in a transaction")


class ScriptedProducer:
    """A transactional producer whose calls end as they are told.

    Args:
        script: name of a call -> the error that it raises, or an event that it waits for.
        fatal: what it calls back with from within `poll`, once a call has failed.
    """

    def __init__(
        self,
        on_fatal: Callable[[KafkaError], None],
        script: dict[str, KafkaError | threading.Event],
        fatal: KafkaError | None,
    ) -> None:
        self.calls: list[str] = []
        self._on_fatal = on_fatal
        self._script = script
        self._fatal = fatal
        self._failed = False

    def _call(self, name: str) -> None:
        self.calls.append(name)
        outcome = self._script.get(name)
        if isinstance(outcome, threading.Event):
            outcome.wait(20)
        elif outcome is not None:
            self._failed = True
            raise KafkaException(outcome)

    def init_transactions(self, seconds: float) -> None:
        self._call("init")

    def begin_transaction(self) -> None:
        self._call("begin")

    def produce_batch(self, topic: str, messages: list[dict[str, bytes]]) -> int:
        self._call("produce")
        return len(messages)

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], group: object, seconds: float
    ) -> None:
        self._call("offsets")

    def commit_transaction(self, seconds: float) -> None:
        self._call("commit")

    def abort_transaction(self, seconds: float) -> None:
        self._call("abort")

    def poll(self, seconds: float) -> int:
        if self._failed and self._fatal is not None:
            self._on_fatal(self._fatal)
        return 0


class Script:
    """Makes producers: the first fails as told, those after it do not."""

    def __init__(
        self,
        script: dict[str, KafkaError | threading.Event] | None = None,
        fatal: KafkaError | None = None,
    ) -> None:
        self.made: list[ScriptedProducer] = []
        self._script = script or {}
        self._fatal = fatal

    def __call__(self, *, on_fatal: Callable[[KafkaError], None]) -> ScriptedProducer:
        first = not self.made
        self.made.append(
            ScriptedProducer(
                on_fatal, self._script if first else {}, self._fatal if first else None
            )
        )
        return self.made[-1]


def opened(script: Script) -> Transactions:
    transactions = Transactions(script, patience=1.0)  # type: ignore[arg-type]
    transactions.open()
    return transactions


def test_all_of_it_in_order() -> None:
    script = Script()
    opened(script).commit(MESSAGES, OFFSETS, object())
    assert script.made[0].calls == ["init", "begin", "produce", "offsets", "commit"]


def test_an_abortable_error_aborts_and_keeps_the_producer() -> None:
    script = Script({"offsets": ABORTABLE})
    with pytest.raises(Aborted):
        opened(script).commit(MESSAGES, OFFSETS, object())
    assert script.made[0].calls[-1] == "abort"
    assert len(script.made) == 1


@pytest.mark.parametrize(
    "steps",
    [
        {"commit": FENCED},
        {"offsets": STATE},
        {"offsets": ABORTABLE, "abort": STATE},
        {"offsets": ABORTABLE, "abort": FENCED},
    ],
    ids=["said at once", "another error", "another error of the abort", "said by the abort"],
)
def test_the_fenced_never_fences_in_return(steps: dict[str, KafkaError | threading.Event]) -> None:
    script = Script(steps, fatal=FENCED)
    with pytest.raises(BrokerError, match="fenced: another worker"):
        opened(script).commit(MESSAGES, OFFSETS, object())
    assert len(script.made) == 1


def test_a_transaction_that_ran_out_of_time_is_no_fencing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "_EXPIRED_SECONDS", 0.0)
    script = Script({"commit": FENCED}, fatal=FENCED)
    with pytest.raises(Uncertain):
        opened(script).commit(MESSAGES, OFFSETS, object())
    assert len(script.made) == 2


@pytest.mark.parametrize("name", ["offsets", "commit", "abort"])
def test_a_call_that_never_returns_costs_the_producer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_CALL_SECONDS", 0.05)
    monkeypatch.setattr(bounded, "_OVER_SECONDS", 0.1)
    gate = threading.Event()
    steps: dict[str, KafkaError | threading.Event] = {name: gate}
    if name == "abort":
        steps["offsets"] = ABORTABLE
    script = Script(steps)
    transactions = opened(script)
    with pytest.raises(Uncertain):
        transactions.commit(MESSAGES, OFFSETS, object())
    gate.set()
    assert len(script.made) == 2
    transactions.commit(MESSAGES, OFFSETS, object())
    assert script.made[1].calls[-1] == "commit"


def test_a_registration_that_never_returns_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transaction, "_CALL_SECONDS", 0.05)
    monkeypatch.setattr(bounded, "_OVER_SECONDS", 0.1)
    gate = threading.Event()
    with pytest.raises(BrokerError, match="no transactions"):
        opened(Script({"init": gate}))
    gate.set()


@pytest.mark.parametrize("name", ["init", "offsets", "commit"])
def test_whoever_leaves_tries_nothing_again(name: str) -> None:
    """The brokers are away, and the process could not end for as long as patience lasts."""
    transactions = Transactions(Script({name: AWAY}), patience=60.0)  # type: ignore[arg-type]
    threading.Timer(0.3, transactions.close).start()
    started = time.monotonic()
    with pytest.raises(BrokerError, match="left"):
        transactions.open()
        transactions.commit(MESSAGES, OFFSETS, object())
    assert time.monotonic() - started < 5
