"""Worker slots: a stable, free name for each worker of a group on this machine.

A transactional id has to be the same after a restart, and unlike that of any other worker that
runs. So a worker takes the lowest free number of its stage, and holds it with a file lock, which
the kernel gives back however the worker ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

_MOST = 4096


class Slot:
    """The lowest free slot of `stage`; `name` is ``<host>-<number>``. Held until the process ends.

    Raises:
        OSError: the lock files cannot be written.
    """

    def __init__(self, stage: str, scope: str = "") -> None:
        folder = Path(tempfile.gettempdir()) / f"densefusion-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._held: IO[str] | None = None
        for number in range(_MOST):
            file = (folder / f"{scope}{stage}-{number}.lock").open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            self._held = file
            self.name = f"{socket.gethostname()}-{number}"
            return
        raise OSError(f"{_MOST} workers of {stage} run on this machine already")
