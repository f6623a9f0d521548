"""CPU seconds of processes, from Linux's /proc. Elsewhere there are none to report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def cpu_times() -> dict[str, float]:
    """CPU seconds so far of this process and of all that it started, by name, all threads included.

    A worker is named by its stage, any other process by its program; this one is ``driver``.
    """
    if not (_PROC / "self" / "stat").exists():
        return {}
    found: dict[str, float] = {}
    for pid, seconds in _family(os.getpid()):
        name = "driver" if pid == os.getpid() else _name(pid)
        found[name] = found.get(name, 0.0) + seconds
    return found


def _family(root: int) -> Iterator[tuple[int, float]]:
    """Process ids and CPU seconds of `root` and its descendants."""
    children: dict[int, list[tuple[int, float]]] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # The name in parentheses may hold anything; what follows it are numbers (proc(5)).
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        children.setdefault(int(fields[1]), []).append((int(entry.name), seconds))
    yield root, sum(os.times()[:2])
    waiting = [root]
    while waiting:
        for pid, seconds in children.get(waiting.pop(), ()):
            yield pid, seconds
            waiting.append(pid)


def _name(pid: int) -> str:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    if "worker" in words[1:-1]:
        return words[words.index("worker", 1) + 1]
    return Path(words[0]).name or "unknown"
