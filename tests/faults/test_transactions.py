"""What the brokers promise of transactions, and the workers rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.outputs import Outputs
from consumers.source import TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from schemas import Codec
from tests.faults.conftest import MakeStream
from tests.faults.scenarios import PROTOCOLS, settings
from tests.faults.stream import committed_offsets

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_an_aborted_transaction_is_invisible_with_its_offsets(new_stream: MakeStream) -> None:
    stream = new_stream()
    stream.put(10)
    producer = clients.producer(stream.kafka, stream.kafka.prefix + "aborting")
    producer.init_transactions(20)
    group = Consumer({**clients.common(stream.kafka), "group.id": stream.kafka.prefix + "group"})
    place = TopicPartition(stream.kafka.prefix + "in", 0, 3)
    for value, commit in ((b"first", True), (b"aborted", False), (b"last", True)):
        producer.begin_transaction()
        producer.produce(stream.kafka.prefix + "out", value, "key")
        if not commit:
            producer.send_offsets_to_transaction([place], group.consumer_group_metadata(), 20)
            assert producer.flush(20) == 0  # it is in the log, and stays there
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    group.close()

    seen = stream.read("out", at_least=2)
    assert [value for values in seen.values() for value in values] == [b"first", b"last"]
    everything = stream.read("out", at_least=3, isolation="read_uncommitted")
    assert b"aborted" in [value for values in everything.values() for value in values]
    assert committed_offsets(stream.kafka, "group")[0] < 0


class Sink:
    """A stage that ends every record without a word."""

    name = "sink"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        return ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_transaction_of_offsets_alone_stays(new_stream: MakeStream, protocol: str) -> None:
    stream = new_stream(group_protocol=protocol)
    kafka, codec = stream.kafka, Codec()
    worker = Worker(
        Sink(),
        TopicSource({kafka.prefix + "in": "ImageUrl"}, codec),
        lambda: clients.consumer(kafka, "sink"),
        Transactions(partial(clients.producer, kafka, kafka.prefix + "sink-0")),
        Outputs("sink", codec, kafka.prefix),
        settings(stream, offset_transactions=True).worker,
        Starting(kafka),
        in_flight=8,
    )
    running = asyncio.create_task(worker.run())
    try:
        for _ in range(3):  # not just the first time
            await asyncio.to_thread(stream.put, 40)

            def stands() -> bool:
                offsets = committed_offsets(kafka, "sink")
                return sum(max(0, each) for each in offsets.values()) == stream.sent

            deadline = asyncio.get_running_loop().time() + 30
            while not await asyncio.to_thread(stands):
                assert asyncio.get_running_loop().time() < deadline, "not committed"
    finally:
        worker.stop()
        await running
