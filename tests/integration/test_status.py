"""`densefusion status` on a broker: what waits is what waits, to the record."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from consumers.transaction import Outgoing, Transactions
from densefusion import clients, topics
from densefusion.cli.connect import announce
from densefusion.settings import Kafka, Settings
from densefusion.stack import EmbeddedStack
from densefusion.status.groups import Groups
from densefusion.topics import Topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
INPUTS = {
    "fetch": [topics.URLS],
    "curate": [topics.FETCHED],
    "dataset": [topics.CAPTIONS, topics.REJECTS],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedStack, Settings]]:
    folder = tmp_path_factory.mktemp("stack")
    with EmbeddedStack(folder, durable=False) as running:
        settings = running.apply(Settings(data_dir=folder))
        Topics(settings.kafka, clients.common(settings.kafka)).create(
            topics.all_topics(settings.experts.roster)
        )
        announce(settings, running)
        yield running, settings


def group(kafka: Kafka, name: str, topic: str) -> Any:
    """A consumer that has joined its group and polled something of its topic."""
    consumer = clients.consumer(kafka, name)
    consumer.subscribe([topic])
    for _ in range(200):
        if consumer.consume(1, 0.1):
            return consumer
    raise AssertionError("no record came")


def test_waiting_to_the_record(stack: tuple[EmbeddedStack, Settings], cli: Any) -> None:
    _, settings = stack
    kafka = settings.kafka
    found = Topics(kafka, clients.common(kafka)).verify(
        {name for names in INPUTS.values() for name in names}
    )
    producer = clients.producer(kafka)
    for number in range(300):  # in batches, whose end the broker does not report
        producer.produce(topics.URLS, b"x", partition=number % 4)
    assert producer.flush(20) == 0
    groups = Groups(kafka, INPUTS, found, embedded=True)
    try:
        read = groups.read()
        assert (read["fetch"].waiting, read["fetch"].done) == (300, 0)
        assert read["dataset"].waiting == read["curate"].waiting == 0

        consumer = group(kafka, "fetch", topics.URLS)
        transactions = Transactions(partial(clients.producer, kafka, "fetch-0"))
        transactions.open()
        for number, at in enumerate((75, 70, 75, 75)):
            transactions.commit(
                [Outgoing(topics.FETCHED, b"k", b"v", []) for _ in range(10)],
                {(topics.URLS, number): at},
                consumer.consumer_group_metadata(),
            )
        read = groups.read()
        assert (read["fetch"].waiting, read["fetch"].done) == (5, 295)
        assert read["curate"].waiting == 40 + 3, "with the markers that lie between"

        consumer.close()
        curate = clients.consumer(kafka, "curate")
        curate.subscribe([topics.FETCHED])
        after: dict[int, int] = {}
        messages = 0
        until = time.monotonic() + 30
        while messages < 40 and time.monotonic() < until:
            for message in curate.consume(100, 0.2):
                after[message.partition() or 0] = (message.offset() or 0) + 1
                messages += 1
        places = [TopicPartition(topics.FETCHED, *each) for each in after.items()]
        curate.commit(offsets=places, asynchronous=False)
        assert groups.read()["curate"].waiting == 0, "markers of transactions do not wait"
        curate.close()
    finally:
        groups.close()

    process: subprocess.Popen[str] = cli(
        "status", "--json", "--interval", "0.3", "--data-dir", settings.data_dir
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    shown = json.loads(out)
    assert shown["stages"]["fetch"]["waiting"] == 5
    assert shown["stages"]["ocr"]["topics"] == ["images"]
    assert shown["metrics"] is None


def test_wrong_options(tmp_path: Path, cli: Any) -> None:
    process = cli("status", "--once", "--data-dir", tmp_path / "nothing")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "no embedded stack runs" in err
