"""docs/logs.md lists every event that is logged with fields, and a worker's end is one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error"}


def events(file: Path) -> Iterator[str]:
    """The constants of ``log.<level>("event", extra=...)``."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
            and any(each.arg == "extra" for each in node.keywords)
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def test_every_event_is_listed() -> None:
    said = (ROOT / "docs" / "logs.md").read_text("utf-8")
    found = {
        event
        for room in ("consumers", "densefusion", "producers")
        for file in (ROOT / room).rglob("*.py")
        for event in events(file)
    }
    assert {"dead letter", "committed", "rejected"} <= found
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
