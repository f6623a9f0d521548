"""Worker processes of this machine: started, watched, started again, stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from densefusion.errors import DenseFusionError
from densefusion.processes import die_with_parent, tail

log = logging.getLogger("densefusion.workers")

_STOP_SECONDS = 12.0  # a worker leaves within 10
_RESTARTS = 5
_WITHIN = 60.0
_USER_ERROR = 2  # a setting or a topic is wrong: starting again would not help


class WorkersFailed(DenseFusionError):
    """A worker cannot be kept running."""


@dataclass(slots=True)
class _Child:
    stage: str
    log_file: Path
    process: subprocess.Popen[bytes]
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=_RESTARTS))


class Workers:
    """One process for each of `stages`; a stage named twice has two.

    Args:
        environment: settings for the workers, over this process's own environment.
        logs: folder for their log files.
    """

    def __init__(self, stages: Iterable[str], environment: Mapping[str, str], logs: Path) -> None:
        self._stages = list(stages)
        self._environment = {**os.environ, **environment}
        self._logs = logs
        self._children: list[_Child] = []

    def start(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        counts: dict[str, int] = {}
        for stage in self._stages:
            number = counts[stage] = counts.get(stage, -1) + 1
            file = self._logs / f"{stage}-{number}.log"
            file.write_bytes(b"")
            self._children.append(_Child(stage, file, self._spawn(stage, file)))

    def pids(self) -> dict[str, list[int]]:
        """Process ids by stage."""
        found: dict[str, list[int]] = {}
        for child in self._children:
            found.setdefault(child.stage, []).append(child.process.pid)
        return found

    def check(self) -> None:
        """Start again whatever has died.

        Raises:
            WorkersFailed: a worker says that its settings are wrong, or dies again and again.
        """
        for child in self._children:
            code = child.process.poll()
            if code is None:
                continue
            now = time.monotonic()
            often = len(child.deaths) == _RESTARTS and now - child.deaths[0] < _WITHIN
            if code == _USER_ERROR or often:
                raise WorkersFailed(
                    f"worker {child.stage} ended with code {code}"
                    f"{f' for the {_RESTARTS + 1}th time' if often else ''}; the end of "
                    f"{child.log_file}:\n{tail(child.log_file)}"
                )
            child.deaths.append(now)
            log.warning("worker %s ended with code %s; starting it again", child.stage, code)
            child.process = self._spawn(child.stage, child.log_file)

    def stop(self) -> None:
        """Let all finish their work in hand; kill those that do not leave in time."""
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker %s did not leave in time; killing it", child.stage)
                child.process.kill()
                child.process.wait(5)

    def _spawn(self, stage: str, log_file: Path) -> subprocess.Popen[bytes]:
        # Its own session: Ctrl-C on the terminal is for us, and we stop the workers in order.
        with log_file.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "densefusion", "worker", stage],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
