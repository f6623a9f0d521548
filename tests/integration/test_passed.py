"""An expert that comes late starts where fusion stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from consumers.outputs import Outputs
from consumers.passed import Passed
from consumers.source import TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from densefusion.settings import Kafka, Settings
from densefusion.stack import EmbeddedStack
from densefusion.topics import Topics
from schemas import Codec
from tests.consumers.records import CODEC, image

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
IMAGES = 60


class Answering:
    """A stage of this test, in an expert's place."""

    name = "late"

    def __init__(self) -> None:
        self.seen: list[int] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        self.seen.append(record.offset)
        return [Emit("out", record.key, record.raw, "Image")]


def commit(kafka: Kafka, group: str, offset: int) -> None:
    """Let `group` stand at `offset` of the topic of images."""
    consumer = clients.consumer(kafka, group)
    try:
        offsets = [TopicPartition("images", 0, offset)]
        consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()


async def seen(kafka: Kafka) -> list[int]:
    """What a worker of the stage works on until it is through."""
    stage = Answering()
    worker = Worker(
        stage,
        TopicSource({"images": "Image"}, Codec()),
        lambda: clients.consumer(kafka, stage.name),
        Transactions(partial(clients.producer, kafka, "late-0")),
        Outputs(stage.name, Codec(), ""),
        Settings().worker,
        Starting(kafka, Passed(kafka, stage.name, "fusion")),
        in_flight=4,
    )
    running = asyncio.create_task(worker.run())
    deadline = time.monotonic() + 60
    while IMAGES - 1 not in stage.seen:
        assert time.monotonic() < deadline and not running.done()
        await asyncio.sleep(0.1)
    worker.stop()
    await running
    return sorted(stage.seen)


async def test_images_that_fusion_has_passed_are_skipped(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "data", durable=False) as stack:
        kafka = stack.apply(Settings()).kafka.model_copy(update={"partitions": 1})
        Topics(kafka, clients.common(kafka)).create(["images", "out"])
        await asyncio.sleep(0.5)
        producer = clients.producer(kafka)
        for number in range(IMAGES):
            raw = CODEC.encode("Image", image(f"{number:064x}"), "images")
            producer.produce("images", raw, f"{number:064x}")
        assert producer.flush(20) == 0

        commit(kafka, "fusion", 40)
        assert await seen(kafka) == list(range(40, IMAGES))
        commit(kafka, "late", 50)  # it is ahead of fusion now: nothing to skip
        assert await seen(kafka) == list(range(50, IMAGES))
