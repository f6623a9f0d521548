"""The expert for text in the picture: its lines, letter for letter, and where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from consumers.experts.batching import make_batcher
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.errors import EngineError
from engines.ocr import Line, Reader
from engines.ocr.models import NAME, weights_version
from schemas import findings_schema

# Crops are cut at up to twice the scale that text is found at (`engines.ocr.reader.CROP_SCALE`);
# nearly all of what that gains is there at this one.
DECODE_SCALE = 1.5


class Ocr:
    """Reads text with PP-OCRv6; on the CPU one image in each of `threads` threads.

    The networks' time on a CPU is linear in what they are given: a batch would gain nothing there,
    and its images would wait for each other.
    """

    name: ClassVar[str] = "ocr"
    title: ClassVar[str] = "OCR"
    follows: ClassVar[str] = "images"

    def __init__(self, settings: Experts) -> None:
        self._settings = settings
        self._batcher: Batcher[np.ndarray, list[Line]] | None = None
        self.pixels: int | None = round(DECODE_SCALE * settings.ocr_max_side)
        self.model = NAME
        self.model_version = weights_version()
        self.provider: str = settings.provider
        self.precision: str = settings.precision

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("ocr")

    async def open(self) -> None:
        """Raises `EngineError` where weights or provider cannot be had."""
        settings = self._settings
        reader = await asyncio.to_thread(
            Reader.load,
            provider=settings.provider,
            max_side=settings.ocr_max_side,
            max_batch=settings.max_batch,
            allow_fallback=settings.allow_fallback,
            precision=settings.precision,
        )
        self.provider, self.precision = reader.provider, reader.precision
        self.model_version = reader.weights
        self._batcher = make_batcher(reader.read, settings, self.provider, self.name, cpu_batch=1)

    async def close(self) -> None:
        if self._batcher is not None:
            await self._batcher.close()
            self._batcher = None

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise EngineError("ocr: not open, or an image without pixels")
        return {"lines": [_record(line) for line in await self._batcher.submit(sighting.pixels)]}

    def describe(self, findings: Findings) -> Sequence[str]:
        """A line of text each: the text as it is written, and its bounding rectangle."""
        return [f'"{line["text"]}" at {_rectangle(line["polygon"])}' for line in findings["lines"]]


def _record(line: Line) -> dict[str, Any]:
    return {
        "text": line.text,
        "score": line.score,
        "polygon": [value for corner in line.polygon for value in corner],
    }


def _rectangle(polygon: Sequence[float]) -> str:
    xs, ys = polygon[::2], polygon[1::2]
    return "[" + ", ".join(f"{side:.3f}" for side in (min(xs), min(ys), max(xs), max(ys))) + "]"
