"""A small run of the program on a real broker: a burst is drained by more workers, then there is
one again, and every image has come to its end once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kafka.cluster import available
from tests.chaos.supervisor import ROOT

IMAGES, MOST = 200, 4

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_a_burst_is_drained_and_the_fleet_shrinks(tmp_path: Path) -> None:
    if (reason := available()) is not None:
        pytest.skip(f"no Apache Kafka for the autoscaling program: {reason}")
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.autoscaling", "--images", str(IMAGES), "--brokers", "1",
         "--partitions", "4", "--most", str(MOST), "--quick", "--folder", tmp_path / "run",
         "--json", out],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=230,
        check=False,
    )  # fmt: skip
    said = f"{done.stdout}\n{done.stderr[-6000:]}"
    assert done.returncode == 0, said
    report = json.loads(out.read_text("utf-8"))
    assert report["exact"] and report["lost"] == report["twice"] == 0, said
    assert report["captions"] + sum(report["rejects"].values()) == IMAGES
    assert report["most"]["device"] == MOST, said
    assert set(report["samples"][-1]["asked"].values()) == {1}, said
    # What is left is the marker of a transaction, one on each partition; `urls` has none.
    assert report["left"].pop("fetch on urls") == [0] * 4, said
    assert all(set(lags) <= {0, 1} for lags in report["left"].values()), said
    assert report["left"]["device on images"] == [1] * 4, said
