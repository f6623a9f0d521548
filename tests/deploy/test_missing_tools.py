"""Programs of `deploy` say in one line what they lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_UNDRAWN = """
import runpy, sys
sys.modules["matplotlib"] = None  # as if it were not installed
sys.argv = ["draw"]
runpy.run_module("deploy.grafana.draw", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-m", "deploy.kubernetes"], "helm is not installed: see docs/deploy.md\n"),
        (["-c", _UNDRAWN], 'drawing needs matplotlib: pip install -e ".[dashboards]"\n'),
    ],
    ids=["helm", "matplotlib"],
)
def test_what_is_missing_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, said)
