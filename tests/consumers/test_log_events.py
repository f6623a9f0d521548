"""What the worker's parts log: which record, where it lies, how often."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from consumers.commit_log import CommitLog
from consumers.outputs import Outputs
from consumers.stage import Rejected
from consumers.transaction import Outgoing
from densefusion.logs import _Json, _Parts
from densefusion.redact import Redact
from densefusion.seldom import Seldom
from tests.consumers.messages import arrival
from tests.consumers.records import CODEC, image, url

PICTURE = b"\xff\xd8 a whole picture" * 1000


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return _Parts(Redact([])).of(record)


def test_a_dead_letter_is_a_warning_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    came = arrival(("x.fetched", 3), 17, image(), [("run", b"r")], raw=PICTURE)
    try:
        raise ValueError("broken")
    except ValueError as error:
        Outputs("curate", CODEC, "x.").dead_letter(error, came)
    (record,) = caplog.records
    found = fields(record)
    assert found["event"] == "dead letter"
    assert found["level"] == "warning"
    assert (found["stage"], found["image_id"]) == ("curate", "key")
    assert (found["topic"], found["partition"], found["offset"]) == ("x.fetched", 3, 17)
    assert found["error"] == "ValueError('broken')"
    assert "test_log_events.py" in found["exception"]
    assert "picture" not in _Json(_Parts(Redact([]))).format(record)


def test_a_reject_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    outputs = Outputs("fetch", CODEC, "x.")
    came = arrival(("x.urls", 1), 5, url())
    outputs.rejected(Rejected("http-404", "gone"), came)
    assert caplog.records == []
    with caplog.at_level("DEBUG", "densefusion.outputs"):
        outputs.rejected(Rejected("http-404", "gone"), came)
    found = fields(caplog.records[0])
    assert (found["event"], found["reason"], found["detail"]) == ("rejected", "http-404", "gone")
    assert (found["url_id"], found["topic"], found["offset"]) == ("key", "x.urls", 5)
    assert "image_id" not in found


def out(topic: str) -> Outgoing:
    return Outgoing(topic, b"k", b"v", [])


def test_commits_are_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    now = 100.0
    log = CommitLog("fetch", Seldom(30, lambda: now))
    log.add(2, [out("fetched"), out("rejects")], {("urls", 0): 7, ("urls", 1): 3}, 0.01)
    now += 1
    log.add(3, [out("fetched")] * 3, {("urls", 0): 10}, 0.5)
    log.add(1, [out("fetched")], {("urls", 0): 11}, 0.02)
    assert len(caplog.records) == 1, "the first at once, then none for a while"
    now += 30
    log.add(4, [out("fetched")] * 4, {("urls", 2): 4}, 0.03)
    log.add(5, [], {("urls", 2): 9}, 0.03)
    log.close()
    log.close()
    first, second, last = map(fields, caplog.records)
    assert first["published"] == {"fetched": 1, "rejects": 1}
    assert first["offsets"] == {"urls": {"0": 7, "1": 3}}
    assert (second["records"], second["commits"], second["slowest_seconds"]) == (8, 3, 0.5)
    assert second["published"] == {"fetched": 8}
    assert second["offsets"] == {"urls": {"0": 11, "2": 4}}
    assert (last["records"], last["published"]) == (5, {})
