"""Logs: an event and its fields a line, whatever they hold, and no secret among them."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from densefusion import logs

SECRET = "hunter2/+=ä"


class Terminal(io.StringIO):
    """Standard error where a person reads it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:], logger.level = handlers, level
    logs._bound.clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = lines(capsys)
    found: dict[str, Any] = json.loads(line)
    return found


def test_an_event_is_a_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    logs.bind(stage="fetch", instance="0")
    place = {"topic": "urls", "partition": 3, "offset": 17, "offsets": {"urls": {3: 18}}}
    logging.getLogger("densefusion.x").warning("dead letter", extra=place)
    logging.getLogger("densefusion.x").debug("not this")
    found = said(capsys)
    assert datetime.fromisoformat(found.pop("time")).utcoffset() == timedelta(0)
    assert found == {
        "level": "warning",
        "logger": "densefusion.x",
        "event": "dead letter",
        "stage": "fetch",
        "instance": "0",
        "topic": "urls",
        "partition": 3,
        "offset": 17,
        "offsets": {"urls": {"3": 18}},
    }


def test_a_field_of_the_line_wins_over_one_of_the_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up("info", "json")
    logs.bind(stage="fetch, curate")
    logging.getLogger("x").info("it", extra={"stage": "curate", "image_id": None})
    found = said(capsys)
    assert found["stage"] == "curate"
    assert "image_id" not in found


def test_lines_of_libraries_are_events_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    logging.getLogger("library").warning("two\nlines and %s", "ä")
    assert said(capsys)["event"] == "two\nlines and ä"


def test_exceptions_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ValueError: inside" in said(capsys)["exception"]


def test_text_on_request_and_json_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up("debug", "text")
    extra = {"image_id": "ab12", "error": "it is away", "offsets": [1, 2]}
    logging.getLogger("densefusion.worker").debug("plain", extra=extra)
    (line,) = lines(capsys)
    assert line.endswith(
        'DEBUG   worker       plain  image_id=ab12 error="it is away" offsets=[1, 2]'
    )
    logs.set_up("debug")
    logging.getLogger("x").debug("captured output is no terminal")
    assert said(capsys)["level"] == "debug"


def test_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    logs.set_up("info")
    logging.getLogger("x").error("failed", extra={"topic": "urls"})
    assert "\x1b[31mERROR  \x1b[0m x            failed  topic=urls" in screen.getvalue()


def test_the_web_writes_no_lines_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "text")
    hostile = "a\n2026-01-01 ERROR forged\x1b[2J\r\u202e\x9b"
    try:
        raise ValueError(hostile)
    except ValueError:
        logging.getLogger("x").exception(hostile, extra={"detail": hostile})
    written = capsys.readouterr().err
    assert all(
        line.startswith(("    ", " ")) or "ERROR   x" in line for line in written.splitlines()
    )
    assert not set(written) & set("\x1b\r\u202e\x9b")


def test_values_are_cut_and_payloads_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    endless: list[Any] = []
    endless.append(endless)
    extra = {
        "detail": "x" * 5_000_000, "value": b"bytes of a picture" * 10_000,
        "many": {str(n): "y" * 10 for n in range(10_000)}, "deep": endless,
    }  # fmt: skip
    try:
        raise ValueError("z" * 1_000_000)
    except ValueError:
        logging.getLogger("x").exception("e" * 5000, extra=extra)
    (line,) = lines(capsys)
    assert len(line) < 20_000
    found = json.loads(line)
    assert found["value"] == "<180000 bytes>"
    assert found["event"].endswith("… (5000 characters)")
    assert "picture" not in line


@pytest.mark.parametrize(
    "text",
    [
        f"no: {SECRET} is wrong",
        "http://127.0.0.1/?k=hunter2%2F%2B%3D%C3%A4&b=1",
        "https://user:opensesame@host/path",
        "PUT /b/k?X-Amz-Credential=opensesame&X-Amz-Signature=opensesame HTTP/1.1",
        "{'Authorization': 'Bearer opensesame'}",
        "authorization: opensesame",
        "sent Bearer opensesame to it",
        "sasl.password=opensesame, sasl.mechanism=PLAIN",
        '{"secret_key": "opensesame"}',
    ],
)
@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_redacted_wherever_they_stand(
    text: str, form: logs.Form, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", form, secrets=[SECRET, "", "abc"])
    logs.bind(also=text)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("x").exception(text, extra={"a": text, "b": [text], "c": {"d": text}})
    written = capsys.readouterr().err
    for secret in (SECRET, "hunter2", "opensesame"):
        assert secret not in written
    assert written.count("***") >= 6


@given(secret=st.text(min_size=4, max_size=40), before=st.text(), after=st.text())
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_secret_of_any_letters_is_written(
    secret: str, before: str, after: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", "json", secrets=[secret])
    logging.getLogger("x").info("event", extra={"field": before + secret + after})
    shown = said(capsys)["field"]
    rest = before + after  # where the secret is written there by chance, it is no leak of ours
    assert secret not in shown or secret in rest or secret in before + "***" + after


def test_chatty_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("debug", "json")
    logging.getLogger("urllib3.connectionpool").info("request")
    assert lines(capsys) == []


def test_what_the_kafka_client_repeats_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", summary_seconds=60)
    log = logging.getLogger("densefusion.kafka")
    for number in range(50):
        log.warning("broker %d: connection refused", number)
    log.warning("another")
    assert len(lines(capsys)) == 2


def test_a_line_that_was_held_back_says_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", summary_seconds=0.05)
    log = logging.getLogger("densefusion.kafka")
    for _ in range(3):
        log.warning("away")
    time.sleep(0.06)
    log.warning("away")
    first, second = map(json.loads, lines(capsys))
    assert ("repeated" in first, second["repeated"]) == (False, 2)
