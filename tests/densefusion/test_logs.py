"""Logs: a JSON object a line, whatever the message holds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from densefusion import logs


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:], logger.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    logging.getLogger("densefusion.x").warning("two\nlines and %s", "ä")
    logging.getLogger("densefusion.x").debug("not this")
    (line,) = lines(capsys)
    found = json.loads(line)
    assert found["message"] == "two\nlines and ä"
    assert (found["level"], found["logger"]) == ("warning", "densefusion.x")
    assert datetime.fromisoformat(found["time"]).tzinfo is not None


def test_exceptions_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: inside" in json.loads(line)["exception"]


def test_text_on_request_and_json_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up("debug", "text")
    logging.getLogger("x").debug("plain")
    assert lines(capsys)[0].endswith("x  plain")
    logs.set_up("debug")
    logging.getLogger("x").debug("captured output is no terminal")
    assert json.loads(lines(capsys)[0])["level"] == "debug"


def test_chatty_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("debug", "json")
    logging.getLogger("urllib3.connectionpool").info("request")
    assert lines(capsys) == []
