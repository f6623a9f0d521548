"""The expert that says what the picture shows, as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.session import Session, usable_cores
from engines.tagging import SIDE, WEIGHTS, Tagger, Tags, load_labels
from schemas import findings_schema


class Tagging:
    """Classes of ImageNet, and their kinds. See `consumers.expert.Expert`."""

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Image Tags"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = 256  # the crop of seven eighths is then 224

    def __init__(self, settings: Experts) -> None:
        self.model = "efficientnet-lite0"
        self.model_version = "0.1.0"
        self.provider: str = settings.provider
        self._settings = settings
        self._batcher: Batcher[np.ndarray, Tags] | None = None

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("tagging")

    async def open(self) -> None:
        tagger = await asyncio.to_thread(self._load)

        def run(batch: Sequence[np.ndarray]) -> list[Tags]:
            return tagger.run([tagger.prepare(pixels) for pixels in batch])

        self._batcher = Batcher(
            run,
            max_batch=self._settings.max_batch,
            workers=self._settings.threads or usable_cores(),
            name=self.name,
        )

    def _load(self) -> Tagger:
        session = Session(
            WEIGHTS,
            provider=self._settings.provider,
            threads=1,
            allow_fallback=self._settings.allow_fallback,
        )
        self.provider = session.provider
        tagger = Tagger(session, load_labels())
        # The largest batch first: an engine built for it serves the smaller ones too.
        tagger.run([np.zeros((2, SIDE, SIDE, 3), np.uint8)] * self._settings.max_batch)
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
