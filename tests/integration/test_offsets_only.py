"""A stage that emits nothing (the dataset) commits too, and not just once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.outputs import Outputs
from consumers.source import TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from densefusion.settings import Kafka, Settings
from densefusion.stack import EmbeddedStack
from densefusion.topics import Topics
from producers.publish import publish
from producers.rows import Row
from schemas import Codec

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
WAVES = 3


class Sink:
    """A stage that ends every record without a word."""

    name = "sink"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        return ()


def committed(settings: Kafka) -> int:
    """The offset that the group stands at."""
    reader = Consumer({**clients.common(settings), "group.id": "sink"})
    try:
        (place,) = reader.committed([TopicPartition("rows", 0)], timeout=15)
        return int(place.offset)
    finally:
        reader.close()


async def stands_at(settings: Kafka, offset: int, seconds: float) -> bool:
    """Whether the group comes to stand at `offset` in time."""
    deadline = time.monotonic() + seconds
    while await asyncio.to_thread(committed, settings) != offset:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def test_a_stage_that_emits_nothing_commits_every_time(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "data") as stack:
        settings = stack.apply(Settings()).kafka.model_copy(update={"partitions": 1})
        Topics(settings, clients.common(settings)).create(["rows"])
        await asyncio.sleep(0.5)
        codec = Codec()
        worker = Worker(
            Sink(),
            TopicSource({"rows": "ImageUrl"}, codec),
            lambda: clients.consumer(settings, "sink"),
            Transactions(partial(clients.producer, settings, "sink-0")),
            Outputs("sink", codec, ""),
            stack.apply(Settings()).worker,
            Starting(settings),
            in_flight=8,
        )
        running = asyncio.create_task(worker.run())
        try:
            producer = clients.producer(settings)
            for wave in range(1, WAVES + 1):
                row = Row(f"http://example.com/{wave}.jpg")
                await asyncio.to_thread(
                    publish, [row], producer=producer, topic="rows", codec=codec
                )
                assert await stands_at(settings, wave, 20), (
                    f"record {wave} was worked on, but the group stands at {committed(settings)}"
                )
        finally:
            worker.stop()
            await running
