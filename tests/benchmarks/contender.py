"""A contender of a benchmark: a process of its own, watched from outside through Linux's /proc."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peers

from densefusion.processes import die_with_parent, tail

_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 15.0
_HERE = Path(__file__).parent / "contenders"


class ContenderFailed(Exception):
    """The contender ended by itself, or took too long; the message has the end of its log."""


class Contender:
    """One running contender."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log
        self._peak = 0.0

    def check(self) -> None:
        """Raises `ContenderFailed` where it has ended."""
        if self._process.poll() is not None:
            raise self.failed(f"ended with {self._process.returncode}")

    def failed(self, why: str) -> ContenderFailed:
        return ContenderFailed(f"{self._name} {why}\n{tail(self._log)}")

    def stop(self) -> None:
        """Ask it to end, and make it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """CPU seconds so far, user and system, of all its threads."""
        return cpu(self.pid)

    def resident(self) -> float:
        """Resident memory now, MB."""
        return memory(self.pid, "VmRSS")

    def peak(self) -> float:
        """Largest resident memory so far, MB; of one that has ended, as far as it was asked."""
        with contextlib.suppress(FileNotFoundError):
            self._peak = memory(self.pid, "VmHWM") or self._peak
        return self._peak


def cpu(pid: int) -> float:
    """CPU seconds of a process so far, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, field: str = "VmRSS") -> float:
    """MB of memory of a process: VmRSS, resident now; VmHWM, the most it ever was (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def command(name: str, program: str, arguments: Mapping[str, Any]) -> list[str]:
    """The command that runs `contenders/<program>.py` with `arguments`.

    Raises:
        LookupError: it needs a peer that is not installed.
    """
    interpreter = Path(sys.executable)
    if name in peers.PEERS:
        found = peers.python_of(name)
        if found is None:
            raise LookupError("not installed: python tests/benchmarks/peers.py")
        interpreter = found
    return [str(interpreter), str(_HERE / f"{program}.py"), json.dumps(arguments)]


def start(
    name: str, words: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Contender:
    """Start a process; `stop` it. Call this from the main thread, since it ends with that."""
    given = {**os.environ, "PYTHONPATH": str(peers.ROOT), **(environment or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, stdout=out, stderr=out, env=given, cwd=log.parent,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )  # fmt: skip
    return Contender(name, process, log)


@contextmanager
def started(
    name: str, words: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Contender]:
    """Start a process, and stop it in the end."""
    contender = start(name, words, log, environment)
    try:
        yield contender
    finally:
        contender.stop()


def deadline(seconds: float) -> Iterator[float]:
    """Seconds left, until none are."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield left
