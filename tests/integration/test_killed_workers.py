"""kill -9 of every worker, Ctrl-C of the run: the same dataset, nothing twice, nothing lost."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
STAGES = ("fetch", "curate", "detection", "tagging", "ocr", "knowledge", "fusion", "dataset")
IMAGES = 60

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of the examples, every one different."""
    folder = tmp_path_factory.mktemp("photographs")
    chance = random.Random(11)
    examples = sorted((ROOT / "examples").glob("*.jpg"))
    for number in range(IMAGES):
        with Image.open(examples[number % len(examples)]) as whole:
            width, height = whole.size
            left = chance.randrange(width // 10)
            crop = whole.crop((left, 0, width - chance.randrange(width // 10), height))
            out = io.BytesIO()
            crop.convert("RGB").resize((600, 480)).save(out, "JPEG", quality=chance.randint(80, 92))
        (folder / f"{number:03}.jpg").write_bytes(out.getvalue())
        (folder / f"{number:03}.txt").write_text(f"Picture number {number}, seen from the left")
    return folder


def worker(run: subprocess.Popen[str], stage: str) -> int | None:
    """Process id of the run's worker of a stage."""
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    for child in children:
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in command and command[command.index(b"worker") + 1] == stage.encode():
            return int(child)
    return None


def await_event(logs: Path, stage: str, event: str) -> None:
    """Until a worker's log has it."""
    until = time.monotonic() + 90
    file = logs / f"{stage}-0.log"
    while not (file.exists() and f'"event": "{event}"' in file.read_text("utf-8")):
        assert time.monotonic() < until, f"{stage}: no {event}"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc (Linux)")
def test_the_dataset_is_the_same(photographs: Path, cli: Any, helpers: Any, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[str]:
        run: subprocess.Popen[str] = cli(
            "run", photographs, "--json", "--out", tmp_path / name, "--data-dir",
            tmp_path / f"{name}-data",
        )  # fmt: skip
        return run

    calm = helpers.finish(start("calm"))
    run = start("killed")
    killed: list[str] = []
    for stage in STAGES:  # in the order of the stream: each when it has done something
        await_event(tmp_path / "killed-data" / "logs", stage, "committed")
        pid = worker(run, stage)
        assert pid is not None, f"{stage} does not run"
        os.kill(pid, signal.SIGKILL)
        killed.append(stage)
    assert run.poll() is None, "the run was over before every worker had been killed"
    result = helpers.finish(run)

    assert killed == list(STAGES)
    assert calm["exit_code"] == result["exit_code"] == 0, result["stderr"]
    assert result["captions"] == calm["captions"] == IMAGES
    before = {row["image_id"]: row for row in helpers.rows(tmp_path / "calm" / "captions.jsonl")}
    rows = helpers.rows(tmp_path / "killed" / "captions.jsonl")
    assert len(rows) == len(before) == IMAGES
    for row in rows:
        same = before.pop(row["image_id"])
        assert row["caption"] == same["caption"]
        assert row["missing_experts"] == []
    assert not before


def test_an_interrupted_run_goes_on(
    photographs: Path, cli: Any, helpers: Any, tmp_path: Path
) -> None:
    def start() -> subprocess.Popen[str]:
        run: subprocess.Popen[str] = cli(
            "run", photographs, "--json", "--out", tmp_path / "out", "--data-dir", tmp_path / "data"
        )
        return run

    first = start()
    await_event(tmp_path / "data" / "logs", "dataset", "committed")  # the first of them are there
    first.send_signal(signal.SIGINT)
    interrupted = helpers.finish(first)
    assert interrupted["exit_code"] == 130 and not interrupted["complete"]

    again = helpers.finish(start())
    assert again["exit_code"] == 0, again["stderr"]
    assert again["captions"] + again["rejects"] == again["urls"] == IMAGES
    assert again["captions"] > 0
    rows = helpers.rows(tmp_path / "out" / "captions.jsonl")
    assert len({row["image_id"] for row in rows}) == len(rows) == IMAGES
