"""The expert that says which objects are in the picture, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from consumers.experts.batching import make_batcher, warm_sizes
from consumers.experts.sessions import open_session, version
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.detection import SIDE, Box, Detector, load_labels
from schemas import findings_schema


class Detection:
    """Objects of COCO's 80 categories. See `consumers.expert.Expert`."""

    name: ClassVar[str] = "detection"
    title: ClassVar[str] = "Detection Box"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = SIDE

    def __init__(self, settings: Experts) -> None:
        self.model = "coco-ssdlite-mobilenet-v2"
        self.model_version = version(self.model, settings.precision)
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._batcher: Batcher[np.ndarray, list[Box]] | None = None

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("detection")

    @staticmethod
    def prepare(pixels: np.ndarray) -> np.ndarray:
        """See `consumers.expert.Prepares`."""
        return Detector.prepare(pixels)

    async def open(self) -> None:
        detector = await asyncio.to_thread(self._load)
        self._batcher = make_batcher(detector.run, self._settings, self.provider, self.name)

    def _load(self) -> Detector:
        session = open_session(self.model, self._settings)
        self.provider, self.precision = session.provider, session.precision
        self.model_version = version(self.model, self.precision)
        detector = Detector(session, load_labels())
        for size in warm_sizes(self.provider, self._settings.max_batch):
            detector.run([np.zeros((SIDE, SIDE, 3), np.uint8)] * size)
        return detector

    async def close(self) -> None:
        if self._batcher:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise ValueError("detection wants to be open, and pixels")
        boxes = await self._batcher.submit(sighting.pixels)
        return {"boxes": [asdict(box) for box in boxes]}

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """As in the paper's prompts: ``person: [0.120, 0.034, 0.560, 0.998]``."""
        return [
            "{label}: [{x0:.3f}, {y0:.3f}, {x1:.3f}, {y1:.3f}]".format(**box)
            for box in findings["boxes"]
        ]
