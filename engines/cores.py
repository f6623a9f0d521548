"""How many cores this process may use, containers' limits included."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores this process may use: its CPU affinity, and the CPU quota of its cgroup, rounded up."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS, Windows
        cores = os.cpu_count() or 1
    quota = _cgroup_quota(Path("/proc/self/cgroup"), _CGROUPS)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _cgroup_quota(membership: Path, root: Path) -> float | None:
    """The tightest CPU quota, in cores, over the process's cgroup and its parents.

    Source: cgroup-v2 ``cpu.max`` ("<quota or max> <period>"), cgroup-v1 ``cpu.cfs_quota_us``
    (-1: none).
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            base = root / controllers
        else:
            continue
        folder = base / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted: the root still is.
        for each in [folder, *folder.parents]:
            if each != base and base not in each.parents:
                break
            quotas.append(_folder_quota(each))
    return min((quota for quota in quotas if quota is not None), default=None)


def _folder_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None
