"""The benchmark of the models: what it runs, what it says, what it writes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engines.bench import Row, bench, lines, timed
from engines.bench_report import machine, markdown, save
from engines.catalogue import catalogue
from engines.errors import EngineError
from engines.images import decode

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOGRAPHS = [decode((EXAMPLES / f"{n}.jpg").read_bytes()) for n in ("cat", "sign_exit", "coffee")]


class Sleeping:
    """Takes 5 ms a batch, and as many at a time as there are `cores`."""

    def __init__(self, cores: int) -> None:
        self._cores = threading.Semaphore(cores)
        self.batches: list[list[int]] = []

    def __call__(self, batch: Sequence[int]) -> None:
        with self._cores:
            time.sleep(0.005)
        self.batches.append(list(batch))


def test_times_are_of_an_item_alone_and_side_by_side() -> None:
    run = Sleeping(cores=2)
    ms, rate = timed(run, range(3), 5, 0.1, threads=2)
    assert {len(batch) for batch in run.batches} == {5}
    assert {item for batch in run.batches for item in batch} == {0, 1, 2}
    assert 1 <= ms < 3  # 5 ms for five
    assert 500 < rate <= 2000  # two at a time: 2000
    _, alone = timed(Sleeping(cores=1), range(3), 5, 0.1, threads=2)
    assert alone <= 1100


def test_a_model_has_a_row_for_each_batch() -> None:
    model = catalogue()["efficientnet-lite0"]
    rows = bench([model], photographs=PHOTOGRAPHS, batches=(1, 2), seconds=0.01, precision="fp32")
    assert [(row.model, row.batch, row.item) for row in rows] == [
        ("efficientnet-lite0", 1, "picture"), ("efficientnet-lite0", 2, "picture"),
    ]  # fmt: skip
    for row in rows:
        assert (row.provider, row.precision, row.agreement) == ("cpu", "fp32", None)
        assert row.ms > 0 and row.per_second > 0


def test_text_is_cut_from_photographs_or_missed_with_a_reason() -> None:
    assert len(lines(PHOTOGRAPHS)) >= 2
    with pytest.raises(EngineError, match="no text"):
        lines([np.full((64, 64, 3), 90, np.uint8)])
    with pytest.raises(EngineError, match="photographs"):
        bench([], photographs=[])


def test_the_page_and_its_json_say_the_same(tmp_path: Path) -> None:
    same = ("m", "tagging", "cpu", "fp32", 4, "picture", 12.345, 81.25)
    rows = [
        Row(*same, None, "it is the reference"),  # type: ignore[arg-type]
        Row("n", "ocr-recognition", "cpu", "int8", 8, "line of text", 1, 1000, 0.98765, "a|b"),
    ]
    page, beside = save(rows, tmp_path / "docs" / "engines.md")
    text = page.read_text("utf-8")
    assert "| m | cpu | fp32 | 4 | 12.35 | 81.2 | it is the reference |" in text
    assert "| n | cpu | int8 | 8 | 1.00 | 1000.0 | 0.9877 (a/b) |" in text
    assert "| a line of text through |" in text and "| a picture through |" in text
    found = json.loads(beside.read_text("utf-8"))
    assert [Row(**row) for row in found["rows"]] == rows
    assert found["machine"] == machine()
    assert machine()["onnxruntime"] in markdown(rows, machine())
