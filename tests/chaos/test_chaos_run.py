"""A small run of the chaos program on real brokers: the ledger is exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kafka.cluster import available
from tests.chaos.supervisor import ROOT

IMAGES, FAULTS = 300, 8

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_the_ledger_is_exact(tmp_path: Path) -> None:
    if (reason := available()) is not None:
        pytest.skip(f"no Apache Kafka for the chaos program: {reason}")
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--images", str(IMAGES), "--faults", str(FAULTS),
         "--seed", "3", "--minutes", "4", "--partitions", "4", "--folder", tmp_path / "run",
         "--json", out],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=390,
        check=False,
    )  # fmt: skip
    said = f"{done.stdout}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, said
    report = json.loads(out.read_text("utf-8"))
    assert report["exact"] and report["urls"] == IMAGES, said
    assert report["captions"] + sum(report["rejects"].values()) == IMAGES
    assert sum(report["faults"].values()) == FAULTS
    assert report["duplicates"] == report["lost"] == 0
