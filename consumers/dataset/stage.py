"""The dataset: captions and rejects into Parquet shards in the bucket.

A record is finished when its row is in the bucket, so that what is committed is what is stored.
Rows that came together are written together, every `flush_interval`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from consumers.dataset.arrow import captions_schema, rejects_schema
from consumers.dataset.rows import caption_row, reject_row
from consumers.dataset.shards import Shards
from consumers.stage import Emit, Record
from densefusion.settings import Dataset as Settings
from densefusion.store import ObjectStore
from schemas import Codec

CAPTIONS_PREFIX = "dataset/captions"
REJECTS_PREFIX = "dataset/rejects"


class Dataset:
    """Captions and rejects to Parquet.

    Args:
        findings: for each expert of the roster, the Avro schema of its findings.
        captions_topic, rejects_topic: full names.
        images_log, rejects_log: ids of the topics that the rows' offsets belong to.
    """

    name = "dataset"

    def __init__(
        self,
        store: ObjectStore,
        codec: Codec,
        findings: Mapping[str, dict[str, Any]],
        settings: Settings,
        *,
        captions_topic: str,
        rejects_topic: str,
        images_log: str,
        rejects_log: str,
    ) -> None:
        self._codec = codec
        self._experts = set(findings)
        self._interval = settings.flush_interval
        self._captions_topic = captions_topic
        self._rejects_topic = rejects_topic
        size = settings.shard_offsets
        self._captions = Shards(
            store, CAPTIONS_PREFIX, images_log, captions_schema(findings), size=size
        )
        self._rejects = Shards(store, REJECTS_PREFIX, rejects_log, rejects_schema(), size=size)
        self._flusher: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._flusher = asyncio.create_task(self._flush_by_time())

    async def close(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        for topic, number in partitions:
            shards = self._captions if topic == self._captions_topic else self._rejects
            shards.forget(number)

    async def process(self, record: Record) -> Sequence[Emit]:
        """Returns once the row is stored; emits nothing."""
        if record.topic == self._captions_topic:
            caption = record.value
            # The image's place, not the caption's: a caption made again keeps its row.
            partition, offset = caption["partition"], caption["offset"]
            await self._captions.write(
                partition, offset, caption_row(caption, self._priors(caption))
            )
        else:
            row = reject_row(record.value, record.partition, record.offset)
            await self._rejects.write(record.partition, record.offset, row)
        return ()

    def _priors(self, caption: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            used["expert"]: self._codec.decode(f"Prior:{used['expert']}", used["record"])
            for used in caption["priors"]
            if used["expert"] in self._experts
        }

    async def _flush_by_time(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await asyncio.gather(self._captions.flush(), self._rejects.flush())
