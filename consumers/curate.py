"""Curate: each content once. Exact duplicates become rejects that name what they repeat.

The first to come claims its content with an object ``claims/<2>/<2>/<image id>``, written only if
there is none yet. The claim holds the place of the claimer on its topic, so that the same record
processed again (after a crash, by another worker) meets its own claim and goes through: the memory
of what was seen is durable, unbounded, and needs no state in the worker.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from consumers.stage import Emit, Record, Rejected
from densefusion.store import Conflict, ObjectStore
from densefusion.topics import IMAGES


class Curate:
    """`Image` records of ``fetched`` on to ``images``.

    Args:
        log: id of the topic ``fetched``; a place means nothing without it.
        volatile: whether that topic dies with its broker; said in the claims, so that those of a
            run that was broken off can be told (`densefusion.resume`).
    """

    name = "curate"

    def __init__(self, store: ObjectStore, log: str, *, volatile: bool = False) -> None:
        self._store = store
        self._log = log
        self._volatile = volatile

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        """Raises `Rejected` with reason ``duplicate``."""
        image = record.value
        claim: dict[str, Any] = {
            "log": self._log,
            "partition": record.partition,
            "offset": record.offset,
            "url": image["url"],
        }
        if self._volatile:
            claim["volatile"] = True
        first = await self._claim(image["image_id"], claim)
        if first != claim:
            url = str(first.get("url", ""))
            raise Rejected("duplicate", f"same bytes as {url}", duplicate_of=url)
        return [Emit(IMAGES, record.key, image, "Image")]

    async def _claim(self, image_id: str, claim: dict[str, Any]) -> dict[str, Any]:
        """The claim that holds: ours if we are the first."""
        key = f"claims/{image_id[:2]}/{image_id[2:4]}/{image_id}"
        try:
            await self._store.put_if(key, json.dumps(claim).encode(), None)
        except Conflict:
            held: dict[str, Any] = json.loads(await self._store.get(key))
            return held
        return claim
