"""Runs the command line as a user does, on an embedded stack of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Short waits, so that hostile servers do not make the tests slow.
FAST = {
    "DENSEFUSION_FETCH__CONNECT_TIMEOUT": "2",
    "DENSEFUSION_FETCH__READ_TIMEOUT": "1.5",
    "DENSEFUSION_FETCH__TOTAL_TIMEOUT": "6",
    "DENSEFUSION_FETCH__ATTEMPTS": "2",
    "DENSEFUSION_FETCH__BACKOFF": "0.1",
    "DENSEFUSION_FETCH__MAX_BYTES": str(4 << 20),
    "DENSEFUSION_EXPERTS__OCR_MAX_SIDE": "640",
}
Cli = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Starts ``densefusion`` with arguments and further environment variables."""

    def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}
        return subprocess.Popen(
            [sys.executable, "-m", "densefusion", *map(str, arguments)],
            cwd=ROOT,
            env={**inherited, **FAST, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process: subprocess.Popen[str], seconds: float = 240) -> dict[str, Any]:
    """Waits for a ``run --json``; its object, with the exit code."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, err = process.communicate(timeout=30)
        raise AssertionError(f"not done in {seconds} s\n{out}\n{err}") from None
    try:
        result: dict[str, Any] = json.loads(out)
    except ValueError:
        raise AssertionError(f"exit code {process.returncode}\n{out}\n{err}") from None
    return {**result, "exit_code": process.returncode, "stderr": err}


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def helpers() -> Any:
    """`finish` and `rows`, for tests that cannot import this file."""

    class Helpers:
        pass

    Helpers.finish = staticmethod(finish)  # type: ignore[attr-defined]
    Helpers.rows = staticmethod(rows)  # type: ignore[attr-defined]
    return Helpers
