"""The expert that gives each picture as a vector: for search and near-duplicates in the dataset."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from consumers.experts.batching import make_batcher, warm_sizes
from consumers.experts.full_models import opened
from consumers.experts.sessions import open_session, version
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.errors import EngineError
from engines.full.card import Picture
from engines.full.embedding import Embedder
from engines.session import Session
from schemas import findings_schema


class Embedding:
    """EfficientNet-Lite0's pooled features of the whole picture, 1280 numbers, of length 1.

    It says nothing in the prompt: the vector is for the dataset. See `consumers.expert.Expert`.
    """

    name: ClassVar[str] = "embedding"
    title: ClassVar[str] = "Embedding"
    follows: ClassVar[str] = "images"
    model: str = "efficientnet-lite0"

    def __init__(self, settings: Experts) -> None:
        self.model_version = version(self.model, settings.precision)
        self.pixels: int | None = 224
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._embedder: Embedder | None = None
        self._batcher: Batcher[np.ndarray, np.ndarray] | None = None

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("embedding")

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """See `consumers.expert.Prepares`. Raises `EngineError` where it is not open."""
        if self._embedder is None:
            raise EngineError(f"{self.name} is not open")
        return self._embedder.prepare(pixels)

    async def open(self) -> None:
        """Raises `EngineError` where model or provider cannot be had."""
        embedder = self._embedder = await asyncio.to_thread(self._load)

        def run(batch: Sequence[np.ndarray]) -> list[np.ndarray]:
            return list(embedder.run(batch))

        self._batcher = make_batcher(run, self._settings, self.provider, self.name)

    def _load(self) -> Embedder:
        session, picture = self._opened()
        self.provider, self.precision = session.provider, session.precision
        self.model_version = version(self.model, self.precision)
        self.pixels = picture.short_side or min(picture.height, picture.width)
        embedder = Embedder(session, picture)
        for size in warm_sizes(self.provider, self._settings.max_batch):
            embedder.run([np.zeros((picture.height, picture.width, 3), np.uint8)] * size)
        return embedder

    def _opened(self) -> tuple[Session, Picture]:
        return open_session(self.model, self._settings), Picture(224, 224, "whole", "bicubic")

    async def close(self) -> None:
        if self._batcher is not None:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise EngineError("embedding: not open, or an image without pixels")
        return {"vector": (await self._batcher.submit(sighting.pixels)).tolist()}

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        return []


class FullEmbedding(Embedding):
    """DINOv2's class token, 768 numbers: the profile `full`."""

    model = "dinov2-base"

    def _opened(self) -> tuple[Session, Picture]:
        model = opened(self.model, self._settings)
        return model.session, model.card.pictured()
