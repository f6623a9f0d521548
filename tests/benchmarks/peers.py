"""Other stream processors for Python, each in an environment of its own.

Their pins exclude each other (quixstreams wants confluent-kafka below 2.13, sentry-arroyo above),
so they share neither this project's environment nor one among themselves:

    python tests/benchmarks/peers.py          # makes .venv-peers/<peer>, once

A benchmark finds them there; one that is missing is a row that says so.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-peers"
# With each, the client and the Avro reader that the contender's own code uses.
PEERS = {
    "quixstreams": ["quixstreams==3.28.1", "fastavro"],
    "sentry-arroyo": ["sentry-arroyo==2.48.0", "fastavro"],
    "bytewax": ["bytewax[kafka]==0.21.1", "fastavro"],
}


def python_of(peer: str, folder: Path = FOLDER) -> Path | None:
    """The interpreter that has `peer`, or None where it was not installed."""
    program = folder / peer / "bin" / "python"
    return program if program.exists() else None


def install(folder: Path = FOLDER) -> None:
    """Make the environments that are not there yet. Says which could not be made, and goes on."""
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    for peer, packages in PEERS.items():
        if python_of(peer, folder) is not None:
            continue
        place = folder / peer
        venv.create(place, with_pip=False, clear=True)
        program = place / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(program), "install", "--quiet"]
        done = subprocess.run([*pip, *packages], check=False)
        if done.returncode:
            program.unlink()
            print(f"{peer} cannot be installed here; its rows will say so", file=sys.stderr)


if __name__ == "__main__":
    install()
