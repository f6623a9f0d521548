"""The expert that looks for what the tags name: open-vocabulary detection, grounding."""

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
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.detection import Box
from engines.errors import EngineError
from engines.full.open_vocabulary import OpenVocabulary, Question
from schemas import findings_schema


class Grounding:
    """OWLv2, asked where each tag is: follows ``priors.tagging``. See `consumers.expert.Expert`.

    An image without tags has nothing to look for, which is an answer; one whose tagging failed has
    none.
    """

    name: ClassVar[str] = "grounding"
    title: ClassVar[str] = "Grounded Tags"
    follows: ClassVar[str] = "priors.tagging"

    def __init__(self, settings: Experts) -> None:
        self.model = "owlv2-base"
        self.model_version = version(self.model, settings.precision)
        self.pixels: int | None = 960
        self.provider: str = settings.provider
        self.precision: str = settings.precision
        self._settings = settings
        self._detector: OpenVocabulary | None = None
        self._batcher: Batcher[Question, list[Box]] | None = None

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("grounding")

    async def open(self) -> None:
        """Raises `EngineError` where models or provider cannot be had."""
        self._detector = await asyncio.to_thread(self._load)
        self._batcher = make_batcher(self._detector.run, self._settings, self.provider, self.name)

    def _load(self) -> OpenVocabulary:
        settings = self._settings
        model = opened(self.model, settings)
        self.provider, self.precision = model.session.provider, model.session.precision
        self.model_version = version(self.model, self.precision)
        self.pixels = min(model.height, model.width)
        texts = opened_texts(f"{self.model}-text", settings)
        detector = OpenVocabulary(model.session, model.card, texts, score=settings.grounding_score)
        empty = np.zeros((model.height, model.width, 3), np.uint8)
        largest = detector.prepare(empty, ["nothing"] * settings.grounding_queries)
        for size in warm_sizes(self.provider, settings.max_batch):
            detector.run([largest] * size)
        return detector

    async def close(self) -> None:
        if self._batcher is not None:
            await self._batcher.close()

    async def find(self, sighting: Sighting) -> Findings:
        if self._batcher is None or self._detector is None or sighting.pixels is None:
            raise EngineError("grounding: not open, or an image without pixels")
        queries = self.queries(sighting.prior)
        if not queries:
            return {"queries": [], "boxes": []}
        question = await asyncio.to_thread(self._detector.prepare, sighting.pixels, queries)
        boxes = await self._batcher.submit(question)
        return {"queries": queries, "boxes": [asdict(box) for box in boxes]}

    def queries(self, prior: Mapping[str, Any] | None) -> list[str]:
        """What to look for: the tags, then their kinds, the best first, each once.

        Raises:
            EngineError: there are no findings to take them from.
        """
        if prior is None or prior["findings"] is None:
            why = "no prior" if prior is None else prior["reason"]
            raise EngineError(f"nothing to look for, the tagging failed: {why}")
        findings = prior["findings"]
        labels = [tag["label"] for tag in (*findings["tags"], *findings.get("kinds", ()))]
        return list(dict.fromkeys(labels))[: self._settings.grounding_queries]

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """As detection does: ``red car: [0.120, 0.034, 0.560, 0.998]``."""
        return [
            "{label}: [{x0:.3f}, {y0:.3f}, {x1:.3f}, {y1:.3f}]".format(**box)
            for box in findings["boxes"]
        ]
