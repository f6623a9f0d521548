"""Worker processes of this machine: started, watched, started again, stopped."""

from __future__ import annotations

import contextlib
import json
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
from densefusion.servers import free_ports

log = logging.getLogger("densefusion.workers")

_STOP_SECONDS = 12.0  # a worker leaves within 10
_RESTARTS = 5
_WITHIN = 60.0
TARGETS = "targets.json"  # in the data folder
_LOOPBACK = {"DENSEFUSION_WORKER__METRICS_HOST": "127.0.0.1"}
_USER_ERROR = 2  # a setting or a topic is wrong: starting again would not help


class WorkersFailed(DenseFusionError):
    """A worker cannot be kept running."""


@dataclass(slots=True)
class _Child:
    stage: str
    name: str
    port: int
    log_file: Path
    process: subprocess.Popen[bytes]
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=_RESTARTS))


class Workers:
    """One process for each of `stages`; a stage named twice has two.

    Args:
        environment: settings for the workers, over this process's own environment.
        logs: folder for their log files.
        targets: file to list the addresses of their metrics in, as Prometheus reads it
            (`file_sd_configs`). It is gone when they are.
    """

    def __init__(
        self, stages: Iterable[str], environment: Mapping[str, str], logs: Path, targets: Path
    ) -> None:
        self._stages = list(stages)
        self._environment = {**os.environ, **environment} | _LOOPBACK
        self._logs = logs
        self._targets = targets
        self._children: list[_Child] = []

    def start(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        counts: dict[str, int] = {}
        for stage, port in zip(self._stages, free_ports(len(self._stages)), strict=True):
            number = counts[stage] = counts.get(stage, -1) + 1
            name = f"{stage}-{number}"
            file = self._logs / f"{name}.log"
            file.write_bytes(b"")
            self._children.append(_Child(stage, name, port, file, self._spawn(stage, port, file)))
        self._list()

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
            log.warning("worker ended, starting it again",
                        extra={"stage": child.stage, "code": code})  # fmt: skip
            # Another port: somebody may have taken the old one, before the worker did or since.
            (child.port,) = free_ports(1)
            child.process = self._spawn(child.stage, child.port, child.log_file)
            self._list()

    def stop(self) -> None:
        """Let all finish their work in hand; kill those that do not leave in time."""
        self._targets.unlink(missing_ok=True)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker did not leave in time, killing it",
                            extra={"stage": child.stage})  # fmt: skip
                child.process.kill()
                child.process.wait(5)

    def _list(self) -> None:
        """Write the file of addresses, whole: Prometheus may read it at any time."""
        # No label `stage`: the metrics have their own, which it would push aside.
        groups = [
            {"targets": [f"127.0.0.1:{child.port}"], "labels": {"worker": child.name}}
            for child in self._children
        ]
        part = self._targets.with_suffix(".part")
        part.write_text(json.dumps(groups, indent=2) + "\n", "utf-8")
        part.replace(self._targets)

    def _spawn(self, stage: str, port: int, log_file: Path) -> subprocess.Popen[bytes]:
        # Its own session: Ctrl-C on the terminal is for us, and we stop the workers in order.
        with log_file.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "densefusion", "worker", stage, "--metrics-port", str(port)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
