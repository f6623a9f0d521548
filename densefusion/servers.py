"""Server processes of the embedded stack: started quietly, waited for, stopped by process id."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from densefusion.errors import DependencyError
from densefusion.processes import die_with_parent, tail

_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0


class StartFailed(DependencyError):
    """A server of the embedded stack does not come up."""


def free_ports(count: int) -> list[int]:
    """So many ports of the loopback address that nobody listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Server:
    """One server process.

    Args:
        log_file: its output; what was there is kept once, as ``<name>.old``.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> None:
        self.name = name
        self._log_file = log_file
        if log_file.exists():
            os.replace(log_file, log_file.with_suffix(".old"))
        with log_file.open("wb") as output:
            # A session of its own: Ctrl-C on the terminal must not stop it before the workers.
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Raises `StartFailed` where it dies, or is not ready in time."""
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            if (death := self.death()) is not None:
                raise StartFailed(death)
            if ready():
                return
            time.sleep(0.1)
        raise StartFailed(f"the {self.name} is not ready after {_READY_SECONDS:.0f} s")

    def death(self) -> str | None:
        """None while it runs, else what its end looked like."""
        code = self._process.poll()
        if code is None:
            return None
        return f"the {self.name} ended with code {code}; its log:\n{tail(self._log_file)}"

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
