"""A worker whose stage waits for a device: 50 ms a batch, whatever is in it, one batch at a time.

The device does not compute, it sleeps, so that many of them fit on few cores, as many GPUs would.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

import build

from consumers.source import TopicSource
from consumers.stage import Emit, Record
from densefusion.settings import Kafka
from engines.batcher import Batcher
from schemas import Codec

SECONDS = 0.05
BATCH = 8


class SleepingDevice:
    """An engine that is bound by its device: takes `SECONDS` for up to `BATCH` items."""

    def __init__(self) -> None:
        self._one = threading.Lock()

    def run(self, batch: Sequence[str]) -> list[str]:
        with self._one:
            time.sleep(SECONDS)
        return list(batch)


class Waiting:
    """The stage: each record through the device, and on. Writes down every call."""

    name = "scaling"

    def __init__(self, calls: TextIO) -> None:
        self._calls = calls
        device = SleepingDevice()
        self._batcher = Batcher(device.run, max_batch=BATCH, workers=1, name="device")

    async def open(self) -> None: ...

    async def close(self) -> None:
        await self._batcher.close()

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        self._calls.write(f"{time.time():.3f} {record.partition} {record.offset}\n")
        await self._batcher.submit(record.key)
        return [Emit("out", record.key, record.raw, "ImageUrl")]


async def main(arguments: dict[str, Any]) -> None:
    kafka, codec = Kafka.model_validate(arguments["kafka"]), Codec()
    with open(arguments["calls"], "w", encoding="ascii", buffering=1) as calls:
        source = TopicSource({kafka.prefix + "in": "ImageUrl"}, codec)
        await build.run(
            Waiting(calls), source, kafka, codec,
            in_flight=4 * BATCH, instance=arguments["instance"],
        )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
