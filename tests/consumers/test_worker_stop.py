"""A worker that is stopped while it starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException

from consumers.outputs import Outputs
from consumers.source import TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion.settings import Settings
from tests.consumers.records import CODEC


class UnreachableProducer:
    """A producer whose brokers are away."""

    def __init__(self, *, on_fatal: Callable[[KafkaError], None]) -> None: ...

    def init_transactions(self, seconds: float) -> None:
        time.sleep(0.05)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out", retriable=True))

    def poll(self, seconds: float) -> int:
        return 0


class Opened:
    """A stage that counts how often it is open."""

    name = "opened"

    def __init__(self) -> None:
        self.open_now = 0

    async def open(self) -> None:
        self.open_now += 1

    async def close(self) -> None:
        self.open_now -= 1

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        return ()


def no_consumer() -> NoReturn:
    raise AssertionError("it never came so far")


async def test_a_worker_leaves_while_it_waits_for_the_brokers() -> None:
    stage = Opened()
    make: Callable[[], Consumer] = no_consumer
    worker = Worker(
        stage,
        TopicSource({"in": "ImageUrl"}, CODEC),
        make,
        Transactions(UnreachableProducer, patience=60.0),  # type: ignore[arg-type]
        Outputs(stage.name, CODEC, ""),
        Settings().worker,
        Starting(Settings().kafka),
        in_flight=1,
    )
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.3)
    assert not running.done()
    worker.stop()
    async with asyncio.timeout(5):
        await running
    assert stage.open_now == 0
