"""Prometheus and promtool: from the PATH, else out of Debian's package, unpacked into a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

_SECONDS = 60.0
_NAMES = ("prometheus", "promtool")


@cache
def programs() -> Path:
    """The folder that has both; the test is skipped where they cannot be had."""
    if all(map(shutil.which, _NAMES)):
        return Path(str(shutil.which("promtool"))).parent
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = home / "densefusion-tests" / "prometheus"
    if not (cached / "usr/bin/promtool").exists():
        try:
            _unpack(cached)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"no prometheus on PATH, and Debian's package cannot be had: {error}")
    return cached / "usr/bin"


def _unpack(into: Path) -> None:
    """Unpacked and not installed: installing would start a service."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        try:
            _run("apt-get", "download", "prometheus", folder=folder)
        except subprocess.CalledProcessError:  # a machine whose lists were never fetched
            _run("apt-get", "update", folder=folder)
            _run("apt-get", "download", "prometheus", folder=folder)
        (package,) = Path(folder).glob("prometheus_*.deb")
        unpacked = Path(folder) / "unpacked"
        _run("dpkg", "-x", str(package), str(unpacked), folder=folder)
        shutil.rmtree(into, ignore_errors=True)
        unpacked.rename(into)


def _run(*command: str, folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_SECONDS)
