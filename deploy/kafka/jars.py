"""Kafka's jars, fetched once by Maven.

They lie in the user's cache (``~/.cache/densefusion``, beside the exported models), not in the data
folder of one cluster: 46 MB that never change serve every run of the tests and every cluster.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from densefusion.errors import SettingsError

_POM = Path(__file__).with_name("pom.xml")
_FETCH_SECONDS = 300.0
_JAVA = 17  # what Kafka 4's brokers need
# Whichever version of the plugin the local Maven prefers.
_GOAL = "dependency:copy-dependencies"


def jars() -> Path:
    """The folder with the jars; fetches them where they are not there yet.

    Raises:
        SettingsError: Java or Maven is missing, or too old, or the jars cannot be fetched.
    """
    _check_java()
    folder = _folder()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise SettingsError("Kafka's jars are fetched with Maven, and there is no `mvn` here")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place and then renamed: others may be at it too, and nobody sees half of them.
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        _fetch(maven, Path(part) / "jars")
        try:
            os.rename(Path(part) / "jars", folder)
        except OSError:
            if not folder.is_dir():  # else somebody else was first
                raise
    return folder


def version() -> str:
    """The version of Kafka that the POM names."""
    found = re.search(r"<kafka.version>(.+?)</kafka.version>", _POM.read_text("utf-8"))
    assert found is not None
    return found.group(1)


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return cache / "densefusion" / f"kafka-{version()}-{digest}"


def _check_java() -> None:
    try:
        said = subprocess.run(
            ["java", "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingsError(f"Kafka needs Java {_JAVA} or newer: {error}") from error
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found.group(1)) < _JAVA:
        raise SettingsError(f"Kafka needs Java {_JAVA} or newer, here is {said.splitlines()[0]}")


def _fetch(maven: str, folder: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(_POM), _GOAL, f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(f"Maven did not fetch Kafka in {_FETCH_SECONDS:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or [done.stderr]
        raise SettingsError(f"Maven cannot fetch Kafka: {lines[0].strip()}")
