"""The stage that an expert runs in: bytes from the object store, decoded, to findings, to a prior.

Every image gets an answer: findings, or ``failed`` with the reason. So the join never waits for an
expert that lives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np

from consumers.expert import Expert, Findings, Sighting
from consumers.stage import Emit, Record
from densefusion import metrics, topics
from densefusion.errors import DependencyError
from densefusion.store import Missing, ObjectStore
from engines.errors import ImageError
from engines.images import decode
from engines.session import usable_cores

log = logging.getLogger("densefusion.expert")
_REASON = 500


class ExpertStage:
    """Runs one expert on every image of the topic that it follows."""

    def __init__(self, expert: Expert, store: ObjectStore) -> None:
        self.name = expert.name
        self._expert = expert
        self._store = store
        self._decoders = ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode")

    async def open(self) -> None:
        await self._expert.open()
        # The provider that really runs; an expert without a model of its own has none.
        provider = getattr(self._expert, "provider", "none")
        metrics.ENGINE_INFO.labels(self.name, self._expert.model, provider).set(1)

    async def close(self) -> None:
        await self._expert.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        started = time.monotonic()
        follows = self._expert.follows != topics.IMAGES
        value = record.value
        findings: Findings | None = None
        lines: list[str] = []
        reason: str | None = None
        try:
            pixels = await self._pixels(value["object_key"])
            started = time.monotonic()
            found = await self._expert.find(Sighting(value, pixels, value if follows else None))
            lines = list(self._expert.describe(found))
            findings = found
        except DependencyError:
            raise
        except Missing:
            reason = "the image's bytes are not in the object store"
        except ImageError as error:
            reason = str(error)
        except Exception as error:  # an expert's failure is an answer too
            log.exception("%s failed on %s", self.name, value["image_id"])
            reason = repr(error)
        prior = self._prior(record, findings, lines, reason)
        prior["seconds"] = time.monotonic() - started
        return [Emit(topics.priors(self.name), value["image_id"], prior, f"Prior:{self.name}")]

    async def _pixels(self, key: str) -> np.ndarray | None:
        if self._expert.pixels == 0:
            return None
        data = await self._store.get(key)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, self._decode, data)

    def _decode(self, data: bytes) -> np.ndarray:
        return decode(data, min_side=self._expert.pixels)

    def _prior(
        self, record: Record, findings: Findings | None, lines: list[str], reason: str | None
    ) -> dict[str, Any]:
        expert = self._expert
        partition, offset = _position(record)
        return {
            "image_id": record.value["image_id"],
            "partition": partition,
            "offset": offset,
            "object_key": record.value["object_key"],
            "expert": expert.name,
            "model": expert.model,
            "model_version": expert.model_version,
            "status": "failed" if findings is None else "ok",
            "reason": _plain(reason[:_REASON]) if reason is not None else None,
            "title": expert.title,
            "lines": lines,
            "findings": findings,
            "made_at": datetime.now(UTC),
        }


def _plain(text: str) -> str:
    """Without lone surrogates, which Avro has no bytes for."""
    return text.encode("utf-8", "replace").decode()


def _position(record: Record) -> tuple[int, int]:
    """Where the image is on the topic ``images``; a prior that is followed carries it on."""
    value: Mapping[str, Any] = record.value
    if "expert" in value:
        return value["partition"], value["offset"]
    return record.partition, record.offset
