"""Every line is an event with fields, docs/logs.md lists it, and a worker's end is one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("consumers", "densefusion", "engines", "producers", "schemas")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def calls(source: str) -> Iterator[ast.Call]:
    """Those of ``log.<level>(...)``, and of the module `logging` itself."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"log", "logging"}
        ):
            yield node


def events(call: ast.Call) -> list[str] | None:
    """The events that a call may log; None: it logs a text that it puts together."""
    assert isinstance(call.func, ast.Attribute)
    given = call.args[call.func.attr == "log" :]  # log.log(level, event)
    if len(given) != 1:  # what comes after the event is put into it
        return None
    leaves = [given[0].body, given[0].orelse] if isinstance(given[0], ast.IfExp) else given
    found = [str(each.value) for each in leaves if isinstance(each, ast.Constant)]
    return found if len(found) == len(leaves) else None


SOURCES = {
    file.relative_to(ROOT).as_posix(): file.read_text("utf-8")
    for room in ROOMS
    for file in (ROOT / room).rglob("*.py")
}


@pytest.mark.parametrize(
    "call",
    [
        'log.info("%s runs on %s", what, provider)',
        'log.warning(f"{what} failed")',
        'log.error("failed: " + text)',
        "log.info(text)",
        'log.log(level, "failed: %s", error)',
        'log.info("revoked" if commit else text, extra={"count": 1})',
    ],
)
def test_a_text_that_is_put_together_is_no_event(call: str) -> None:
    assert [events(each) for each in calls(call)] == [None]


def test_every_line_is_an_event_with_fields() -> None:
    assert [
        f"{name}:{call.lineno}"
        for name, source in SOURCES.items()
        for call in calls(source)
        if events(call) is None
    ] == []


def test_every_event_is_listed() -> None:
    said = (ROOT / "docs" / "logs.md").read_text("utf-8")
    found = {
        event
        for source in SOURCES.values()
        for call in calls(source)
        for event in events(call) or ()
    }
    assert {"dead letter", "committed", "rejected", "model loaded", "kafka error"} <= found
    assert sorted(event for event in found if f"`{event}`" not in said) == []


def test_a_worker_that_fails_says_so_in_its_log(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}
    done = subprocess.run(
        [sys.executable, "-m", "densefusion", "worker", "fetch", "--data-dir", str(tmp_path)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    first, *_, last = map(json.loads, done.stderr.splitlines())
    assert (first["event"], first["stage"]) == ("worker started", "fetch")
    assert (last["event"], last["kind"]) == ("worker failed", "SettingsError")
    assert "no embedded stack runs" in last["error"]
