"""The tagging expert of the profile `full`: SigLIP 2 over a vocabulary, which is the user's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from consumers.experts.batching import make_batcher, warm_sizes
from consumers.experts.full_models import opened, opened_texts
from consumers.experts.sessions import version
from consumers.experts.tagging import Tagging
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.errors import EngineError
from engines.full import vocabulary
from engines.full.tagger import ZeroShotTagger
from engines.tagging import Tags


class FullTagging:
    """Words of a vocabulary, the built-in or the user's. See `consumers.expert.Expert`."""

    name: ClassVar[str] = Tagging.name
    title: ClassVar[str] = Tagging.title
    follows: ClassVar[str] = Tagging.follows
    schema = staticmethod(Tagging.schema)

    def __init__(self, settings: Experts) -> None:
        self.model = "siglip2-base"
        self.model_version = version(self.model, settings.precision)
        self.pixels: int | None = 224
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._tagger: ZeroShotTagger | None = None
        self._batcher: Batcher[np.ndarray, Tags] | None = None

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """See `consumers.expert.Prepares`. Raises `EngineError` where it is not open."""
        if self._tagger is None:
            raise EngineError(f"{self.name} is not open")
        return self._tagger.prepare(pixels)

    async def open(self) -> None:
        """Raises `EngineError` where models, vocabulary or provider cannot be had."""
        self._tagger = await asyncio.to_thread(self._load)
        self._batcher = make_batcher(self._tagger.run, self._settings, self.provider, self.name)

    def _load(self) -> ZeroShotTagger:
        settings = self._settings
        asked = settings.vocabulary
        words = vocabulary.read(asked) if asked is not None else vocabulary.built_in()
        model = opened(self.model, settings)
        self.provider, self.precision = model.session.provider, model.session.precision
        self.model_version = version(self.model, self.precision)
        self.pixels = min(model.height, model.width)
        tagger = ZeroShotTagger(
            model.session,
            model.card,
            opened_texts(f"{self.model}-text", settings),
            words,
            score=settings.tag_score,
        )
        for size in warm_sizes(self.provider, settings.max_batch):
            tagger.run([np.zeros((model.height, model.width, 3), np.uint8)] * size)
        return tagger

    async def close(self) -> None:
        if self._batcher is not None:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or sighting.pixels is None:
            raise EngineError("tagging: not open, or an image without pixels")
        return asdict(await self._batcher.submit(sighting.pixels))

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """One line of tags; none where nothing was recognised."""
        labels = [tag["label"] for tag in findings["tags"]]
        return [", ".join(labels)] if labels else []
