"""Slots: the lowest free number, given back however its holder ends."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from densefusion.slots import Slot

_HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from densefusion.slots import Slot
held = Slot("ocr")
print(held.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def number(slot: Slot) -> int:
    return int(slot.name.rpartition("-")[2])


def test_lowest_free_number() -> None:
    first, second, third = (Slot("ocr") for _ in range(3))
    assert [number(each) for each in (first, second, third)] == [0, 1, 2]
    del second
    again = Slot("ocr")
    assert number(again) == 1
    assert len({each.name for each in (first, again, third)}) == 3


def test_stages_and_scopes_do_not_meet() -> None:
    held = [Slot("ocr"), Slot("tagging"), Slot("ocr", "other."), Slot("ocr", "x.")]
    assert [number(each) for each in held] == [0, 0, 0, 0]


def test_a_killed_process_gives_its_slot_back(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        assert process.stdout.readline().strip().endswith("-0")
        beside = Slot("ocr")
        assert number(beside) == 1
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()
    assert number(Slot("ocr")) == 0
