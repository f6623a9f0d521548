"""The detection expert of the profile `full`: RT-DETRv2 in place of SSDLite."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from consumers.experts.batching import make_batcher, warm_sizes
from consumers.experts.detection import Detection
from consumers.experts.full_models import opened
from consumers.experts.sessions import version
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.detection import Box
from engines.errors import EngineError
from engines.full.detector import DetrDetector


class FullDetection:
    """Objects of COCO's 80 categories. See `consumers.expert.Expert`."""

    name: ClassVar[str] = Detection.name
    title: ClassVar[str] = Detection.title
    follows: ClassVar[str] = Detection.follows
    schema = staticmethod(Detection.schema)

    def __init__(self, settings: Experts) -> None:
        self.model = "rt-detr-v2-r50"
        self.model_version = version(self.model, settings.precision)
        self.pixels: int | None = 640
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._detector: DetrDetector | None = None
        self._batcher: Batcher[np.ndarray, list[Box]] | None = None

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """See `consumers.expert.Prepares`. Raises `EngineError` where it is not open."""
        if self._detector is None:
            raise EngineError(f"{self.name} is not open")
        return self._detector.prepare(pixels)

    async def open(self) -> None:
        """Raises `EngineError` where model or provider cannot be had."""
        self._detector = await asyncio.to_thread(self._load)
        self._batcher = make_batcher(self._detector.run, self._settings, self.provider, self.name)

    def _load(self) -> DetrDetector:
        settings = self._settings
        model = opened(self.model, settings)
        self.provider, self.precision = model.session.provider, model.session.precision
        self.model_version = version(self.model, self.precision)
        self.pixels = min(model.height, model.width)
        detector = DetrDetector(model.session, model.card)
        for size in warm_sizes(self.provider, settings.max_batch):
            detector.run([np.zeros((model.height, model.width, 3), np.uint8)] * size)
        return detector

    async def close(self) -> None:
        if self._batcher is not None:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise EngineError("detection: not open, or an image without pixels")
        return {"boxes": [asdict(box) for box in await self._batcher.submit(sighting.pixels)]}

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """As in the paper's prompts: ``person: [0.120, 0.034, 0.560, 0.998]``."""
        return [
            "{label}: [{x0:.3f}, {y0:.3f}, {x1:.3f}, {y1:.3f}]".format(**box)
            for box in findings["boxes"]
        ]
