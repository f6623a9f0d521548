"""The bare loop: the stream's models in plain function calls. No Kafka, no HTTP, no S3.

Its layout is the fastest for a CPU: a process for each core, one thread in each, and whoever is
free takes the next picture. A picture is decoded once for all experts.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from consumers.knowledge.sources import candidates
from consumers.knowledge.statements import merge
from engines.captions.compose.compose import compose
from engines.captions.compose.evidence import read
from engines.images import decode
from engines.ocr import Reader
from engines.session import Session

_WARM = 3
_START_SECONDS = 120


@dataclass(slots=True)
class BareRun:
    """Wall seconds, CPU seconds of all processes, and the captions by file name."""

    seconds: float
    cpu: float
    captions: dict[str, str]


class Models:
    """Every model of the stream, loaded, with one thread."""

    def __init__(self, ocr_side: int) -> None:
        from engines import detection, tagging

        self._detector = detection.Detector(Session(detection.WEIGHTS), detection.load_labels())
        self._tagger = tagging.Tagger(Session(tagging.WEIGHTS), tagging.load_labels())
        self._reader = Reader.load(max_side=ocr_side)

    def caption(self, file: Path, row: dict[str, Any]) -> str:
        """The caption of the picture in `file`, whose row in the list is `row`."""
        pixels = decode(file.read_bytes())
        image = {
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "url": row["url"],
            "alt_text": row.get("alt"),
            "page_url": None,
            "embedded": {},
            "extra": {"page": row["page"]} if "page" in row else {},
        }
        boxes = self._detector.run([self._detector.prepare(pixels)])[0]
        tags = self._tagger.run([self._tagger.prepare(pixels)])[0]
        lines = self._reader.read([pixels])[0]
        statements = merge(each for each in candidates(image) if each["text"])
        findings: dict[str, Any] = {
            "detection": {"boxes": [asdict(box) for box in boxes]},
            "tagging": asdict(tags),
            "ocr": {
                "lines": [
                    {
                        "text": line.text,
                        "score": line.score,
                        "polygon": [value for corner in line.polygon for value in corner],
                    }
                    for line in lines
                ]
            },
            "knowledge": {"statements": statements},
        }
        priors = {name: {"status": "ok", "findings": found} for name, found in findings.items()}
        return compose(read(image, priors))


def run(folder: Path, rows: Sequence[dict[str, Any]], *, ocr_side: int, processes: int) -> BareRun:
    """Caption every picture of `rows` in `folder`; loading and warming up are not in the time.

    Raises:
        BrokenProcessPool: a process died.
    """
    context = multiprocessing.get_context("spawn")
    everybody = context.Barrier(processes)
    names = [row["url"] for row in rows]
    with ProcessPoolExecutor(
        processes, context, initializer=_load, initargs=(folder, ocr_side, everybody)
    ) as pool:
        # One for each process: none returns before all have begun.
        before = list(pool.map(_warmed, [rows[:_WARM]] * processes))
        started = time.perf_counter()
        captions = list(pool.map(_caption, rows))
        seconds = time.perf_counter() - started
        after = list(pool.map(_warmed, [[]] * processes))
    return BareRun(seconds, sum(after) - sum(before), dict(zip(names, captions, strict=True)))


@dataclass(slots=True)
class _Process:
    folder: Path
    models: Models
    everybody: Barrier


_here: _Process | None = None


def _load(folder: Path, ocr_side: int, everybody: Barrier) -> None:
    global _here  # noqa: PLW0603  an initialiser has no other place to leave anything
    _here = _Process(folder, Models(ocr_side), everybody)


def _caption(row: dict[str, Any]) -> str:
    assert _here is not None
    return _here.models.caption(_here.folder / row["url"], row)


def _warmed(rows: Sequence[dict[str, Any]]) -> float:
    """Caption `rows`, wait for all the other processes; CPU seconds of this one so far."""
    assert _here is not None
    for row in rows:
        _caption(row)
    _here.everybody.wait(_START_SECONDS)
    return sum(os.times()[:2])
