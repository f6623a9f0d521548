from __future__ import annotations

import time

import pytest

from consumers.client_stats import ClientStats
from consumers.pulse import Pulse


@pytest.fixture
def pulse() -> Pulse:
    return Pulse("pulse", stuck_after=60)


def test_a_start_is_no_stuck_worker(pulse: Pulse) -> None:
    assert pulse.stuck() is None
    assert "being opened" in (pulse.unready() or "")


def test_ready_from_the_groups_first_answer_on(pulse: Pulse) -> None:
    pulse.opened()
    assert "first answer" in (pulse.unready() or "")
    pulse.joined()
    assert pulse.unready() is None


def test_a_member_without_partitions_is_ready(pulse: Pulse) -> None:
    pulse.opened()
    stats = ClientStats("pulse")
    stats.connected = True
    pulse.heard(stats)
    assert pulse.unready() is not None
    stats.joined = True
    pulse.heard(stats)
    assert pulse.unready() is None


def test_stuck_without_a_beat(pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse.opened()
    pulse.joined()
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert pulse.stuck() == "has not polled for 61 s"
    assert pulse.unready() == pulse.stuck()
    pulse.beat()
    assert pulse.stuck() is None and pulse.unready() is None


def test_without_brokers_it_lives_and_is_not_ready(pulse: Pulse) -> None:
    pulse.opened()
    pulse.joined()
    pulse.heard(ClientStats("pulse"))
    assert pulse.stuck() is None
    assert pulse.unready() == "no broker is connected"


def test_leaving_takes_its_time_but_not_for_ever(
    pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse.opened()
    pulse.joined()
    pulse.leaving()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 200)
    assert pulse.stuck() is None and pulse.unready() == "leaving"
    monkeypatch.setattr(time, "monotonic", lambda: now + 301)
    assert pulse.stuck() == "has been leaving for 301 s"
