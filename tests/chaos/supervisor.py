"""The workers: real processes, started, killed, frozen, sent away, and started again."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from densefusion.processes import die_with_parent, tail

log = logging.getLogger("chaos.supervisor")
ROOT = Path(__file__).parents[2]
LEAVE_SECONDS = 15.0  # a worker leaves within ten
_START = "---- start"
_PAUSE = 1.0  # before one that ended by itself is started again


@dataclass(slots=True)
class Exit:
    """A worker that ended though nobody had sent it away, or did not leave when it was."""

    worker: str
    code: int | None
    said: str


@dataclass(slots=True)
class _Worker:
    stages: Sequence[str]
    log_file: Path
    process: subprocess.Popen[bytes]
    held: bool = False  # ended on purpose; whoever ended it starts it again
    frozen: bool = False
    again_at: float | None = None


class Supervisor:
    """Workers by name, ``<bundle>-<slot>``. All calls from the main thread: on Linux the workers
    end with the thread that started them.

    Args:
        bundles: name -> the stages that share a process.
        environment: the whole environment of the workers.
    """

    def __init__(
        self, bundles: Mapping[str, Sequence[str]], environment: Mapping[str, str], logs: Path
    ) -> None:
        self._bundles = bundles
        self._environment = environment
        self._logs = logs
        self._workers: dict[str, _Worker] = {}
        self.exits: list[Exit] = []
        self.starts = 0
        logs.mkdir(parents=True, exist_ok=True)

    def __contains__(self, name: str) -> bool:
        return name in self._workers

    def names(self) -> list[str]:
        return list(self._workers)

    def start(self, name: str) -> None:
        """Start a worker, new or ended. Its slot's name stays: the brokers know it again."""
        bundle, _, slot = name.rpartition("-")
        stages = self._bundles[bundle]
        log_file = self._logs / f"{name}.log"
        with log_file.open("ab") as output:
            output.write(f"{_START} at {time.strftime('%H:%M:%S')}\n".encode())
            output.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "densefusion", "worker", *stages,
                 "--instance", f"chaos-{slot}"],
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )  # fmt: skip
        self.starts += 1
        self._workers[name] = _Worker(stages, log_file, process)

    def working(self, name: str) -> bool:
        """Whether a worker has had partitions since its last start."""
        said = self._workers[name].log_file.read_text("utf-8", "replace")
        return '"event": "partitions assigned"' in said[said.rfind(_START) :]

    def kill(self, name: str) -> None:
        """SIGKILL; stays away until `start`."""
        worker = self._workers[name]
        worker.held = True
        self._note(name, worker, b"killed")
        _signal(worker, signal.SIGKILL)
        worker.process.wait(10)

    def freeze(self, name: str) -> None:
        worker = self._workers[name]
        worker.frozen = True
        self._note(name, worker, b"frozen")
        _signal(worker, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        worker = self._workers[name]
        worker.frozen = False
        self._note(name, worker, b"thawed")
        _signal(worker, signal.SIGCONT)

    def send_away(self, name: str) -> None:
        """SIGTERM; `gone` says when it has left."""
        worker = self._workers[name]
        worker.held = True
        self._note(name, worker, b"sent away")
        _signal(worker, signal.SIGTERM)

    def gone(self, name: str) -> bool:
        return self._workers[name].process.poll() is not None

    def forget(self, name: str) -> None:
        """A worker that was sent away: note how it went; kill it if it is still there."""
        worker = self._workers.pop(name)
        code = worker.process.poll()
        if code not in (0, -signal.SIGTERM):  # the latter: it had only begun to start
            self.exits.append(Exit(name, code, tail(worker.log_file, 4)))
        if code is None:
            _signal(worker, signal.SIGKILL)
            worker.process.wait(10)

    def check(self) -> None:
        """Start again, after a pause, what ended by itself."""
        now = time.monotonic()
        for name, worker in list(self._workers.items()):
            if worker.held or worker.process.poll() is None:
                continue
            if worker.again_at is None:
                code = worker.process.returncode
                log.warning("worker %s ended by itself with code %s", name, code)
                self.exits.append(Exit(name, code, tail(worker.log_file, 4)))
                worker.again_at = now + _PAUSE
            elif now >= worker.again_at:
                self.start(name)

    def stop(self) -> None:
        """Send all away, wait, kill the rest."""
        for name, worker in self._workers.items():
            worker.held = True
            _signal(worker, signal.SIGCONT)
            with contextlib.suppress(OSError):
                self.send_away(name)
        until = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < until and not all(map(self.gone, self._workers)):
            time.sleep(0.05)
        for name in list(self._workers):
            self.forget(name)

    def _note(self, name: str, worker: _Worker, what: bytes) -> None:
        with worker.log_file.open("ab") as output:
            output.write(b"---- %s at %s\n" % (what, time.strftime("%H:%M:%S").encode()))


def _signal(worker: _Worker, number: signal.Signals) -> None:
    if worker.process.poll() is None:
        os.kill(worker.process.pid, number)
