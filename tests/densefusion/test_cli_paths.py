"""Paths that cannot be: a line and exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    names = {"KAFKA__BOOTSTRAP": "127.0.0.1:1", "STORE__ENDPOINT": "127.0.0.1:1"}
    keys = {"STORE__ACCESS_KEY": "a", "STORE__SECRET_KEY": "b"}
    ran = subprocess.run(
        [sys.executable, "-m", "densefusion", "dataset", "export", "file/out"],
        cwd=tmp_path,
        env={f"DENSEFUSION_{name}": value for name, value in {**names, **keys}.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == "densefusion: file/out: Not a directory\n"
