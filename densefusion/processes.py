"""What child processes of ours need: to end with their parent, an environment without surprises,
and a log to quote from.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Container
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 64 << 10
# A user's AWS session, proxy or tracing is not for servers on loopback. Most of these keep them
# from starting; AWS_VIRTUAL_HOSTED_STYLE_REQUEST quietly moves the broker's topics elsewhere.
_FOREIGN = ("AWS_", "WEED_", "OTEL_", "SCHEMA_REGISTRY")
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Called in a child before it becomes another program: end when the parent does (Linux).

    More precisely, when the parent's *thread* that started it ends: start children from one that
    stays, such as the main one. Elsewhere than on Linux this does nothing.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def without_foreign(ours: Container[str]) -> list[str]:
    """A prefix for a server's command that takes variables of the user's out of its environment.

    Args:
        ours: names that stay, whatever they look like: we set them.
    """
    found = [
        name
        for name in os.environ
        if (name.startswith(_FOREIGN) or name.upper().endswith("_PROXY")) and name not in ours
    ]
    return ["env", *(argument for name in found for argument in ("-u", name))] if found else []


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a log, however long it is."""
    with contextlib.suppress(OSError), file.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
    return ""
