"""Fusion: an image and its priors become a caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from consumers import prompt
from consumers.stage import Emit, Record, Rejected
from densefusion import metrics
from densefusion.errors import CaptionServerError
from densefusion.store import Missing, ObjectStore
from densefusion.topics import CAPTIONS
from engines.captions import CaptionEngine, CaptionTask, Refused, Unavailable


class Fusion:
    """Joined records to ``captions``, with whichever caption engine there is."""

    name = "fusion"

    def __init__(self, engine: CaptionEngine, store: ObjectStore) -> None:
        self._engine = engine
        self._store = store

    async def open(self) -> None:
        try:
            await self._engine.open()
        except Unavailable as error:
            raise CaptionServerError(str(error)) from error

    async def close(self) -> None:
        await self._engine.close()

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        """Raises `Rejected` where the engine refuses, `CaptionServerError` where it is down."""
        image = record.value
        priors = {name: prior.value for name, prior in record.joined.items()}
        missing = dict(record.missing)
        for name, prior in priors.items():
            if prior["status"] == "failed":
                missing[name] = f"failed: {prior['reason']}"
        for name in missing:
            metrics.MISSING_PRIORS.labels(name).inc()
        task = CaptionTask(
            image=image,
            prompt=prompt.build(image, _answered(priors)),
            priors=_answered(priors),
            load=lambda: self._store.get(image["object_key"]),
        )
        try:
            captioned = await self._engine.caption(task)
        except Refused as error:
            raise Rejected(error.reason, error.detail) from error
        except Missing as error:
            raise Rejected("image-gone", f"no object {error}") from error
        except Unavailable as error:
            raise CaptionServerError(str(error)) from error
        caption = {
            "image_id": image["image_id"],
            "partition": record.partition,
            "offset": record.offset,
            "text": captioned.text,
            "engine": self._engine.name,
            "saw_image": self._engine.saw_image,
            "prompt_version": prompt.VERSION,
            "finish": captioned.finish,
            "tokens_in": captioned.tokens_in,
            "tokens_out": captioned.tokens_out,
            "price": captioned.price,
            "seconds": captioned.seconds,
            "captioned_at": datetime.now(UTC),
            "image": image,
            "priors": [
                {"expert": name, "record": prior.raw} for name, prior in record.joined.items()
            ],
            "missing": [{"expert": name, "reason": why} for name, why in missing.items()],
        }
        return [Emit(CAPTIONS, image["image_id"], caption, "Caption")]


def _answered(priors: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: prior for name, prior in priors.items() if prior["status"] == "ok"}
