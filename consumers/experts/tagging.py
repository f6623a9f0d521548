"""The expert that says what the picture shows, as a whole."""

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
from engines.tagging import SIDE, Tagger, Tags, load_labels
from schemas import findings_schema


class Tagging:
    """Classes of ImageNet, and their kinds. See `consumers.expert.Expert`."""

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Image Tags"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = 256  # the crop of seven eighths is then 224

    def __init__(self, settings: Experts) -> None:
        self.model = "efficientnet-lite0"
        self.model_version = version(self.model, settings.precision)
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._batcher: Batcher[np.ndarray, Tags] | None = None

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("tagging")

    @staticmethod
    def prepare(pixels: np.ndarray) -> np.ndarray:
        """See `consumers.expert.Prepares`."""
        return Tagger.prepare(pixels)

    async def open(self) -> None:
        tagger = await asyncio.to_thread(self._load)
        self._batcher = make_batcher(tagger.run, self._settings, self.provider, self.name)

    def _load(self) -> Tagger:
        session = open_session(self.model, self._settings)
        self.provider, self.precision = session.provider, session.precision
        self.model_version = version(self.model, self.precision)
        tagger = Tagger(session, load_labels())
        for size in warm_sizes(self.provider, self._settings.max_batch):
            tagger.run([np.zeros((2, SIDE, SIDE, 3), np.uint8)] * size)
        return tagger

    async def close(self) -> None:
        if self._batcher:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise ValueError("tagging wants to be open, and pixels")
        found = await self._batcher.submit(sighting.pixels)
        return asdict(found)

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """One line of labels; none where nothing was recognised."""
        labels = [tag["label"] for tag in findings["tags"]]
        return [", ".join(labels)] if labels else []
