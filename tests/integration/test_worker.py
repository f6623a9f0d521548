"""The worker on a real broker: order, exactly once, dead letters, a second worker, leaving."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.outputs import Outputs
from consumers.source import TopicSource
from consumers.stage import Emit, Record, Rejected
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from densefusion.errors import CircuitOpen, StoreError
from densefusion.settings import Kafka, Settings
from densefusion.settings import Worker as WorkerSettings
from densefusion.stack import EmbeddedStack
from densefusion.topics import DEAD_LETTERS, REJECTS, Topics
from schemas import Codec

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]
PARTITIONS = 4


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with EmbeddedStack(tmp_path_factory.mktemp("stack"), durable=False) as stack:
        yield stack.apply(Settings()).kafka


class Shuffling:
    """A stage of this test: finishes its records in no order; rejects and fails by the URL."""

    name = "shuffling"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._chance = random.Random(7)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        url = record.value["url"]
        await asyncio.sleep(self._chance.random() * 0.05)
        self.seen.append(url)
        if url.startswith("reject"):
            raise Rejected("too-small", url)
        if url.startswith("bug"):
            raise ValueError(url)
        if url.startswith("down"):
            raise StoreError("the store is down")
        return [Emit("out", record.key, record.value, "ImageUrl")]


def make_worker(kafka: Kafka, stage: Shuffling, instance: str, **changes: Any) -> Worker:
    codec = Codec()
    identity = f"{kafka.prefix}{stage.name}-{instance}"
    return Worker(
        stage,
        TopicSource({kafka.prefix + "in": "ImageUrl"}, codec),
        lambda: clients.consumer(kafka, stage.name),
        Transactions(partial(clients.producer, kafka, identity)),
        Outputs(stage.name, codec, kafka.prefix),
        WorkerSettings(commit_interval=0.2, offset_transactions=False, **changes),
        Starting(kafka),
        in_flight=16,
    )


def prepared(kafka: Kafka, prefix: str) -> Kafka:
    kafka = kafka.model_copy(update={"prefix": prefix, "partitions": PARTITIONS})
    topics = Topics(kafka, clients.common(kafka))
    topics.create(["in", "out", REJECTS, DEAD_LETTERS])
    return kafka


def put(kafka: Kafka, urls: Sequence[str | bytes], key: str | None = None) -> None:
    codec, producer = Codec(), clients.producer(kafka)
    for number, url in enumerate(urls):
        value = url
        if isinstance(url, str):
            fields = {"url_id": str(number), "url": url, "published_at": datetime.now(UTC)}
            value = codec.encode("ImageUrl", fields, "in")
        headers: list[tuple[str, Any]] = [("run", b"r1")]
        producer.produce(kafka.prefix + "in", value, key or str(number), headers=headers)
    assert producer.flush(20) == 0


def got(kafka: Kafka, topic: str) -> dict[int, list[Any]]:
    """Every committed message of a topic, by partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "isolation.level":
         "read_committed", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )  # fmt: skip
    consumer.assign([TopicPartition(kafka.prefix + topic, n, 0) for n in range(PARTITIONS)])
    found: dict[int, list[Any]] = {number: [] for number in range(PARTITIONS)}
    quiet = 0
    while quiet < 5:
        messages = [m for m in consumer.consume(1000, 0.3) if m.error() is None]
        quiet = 0 if messages else quiet + 1
        for message in messages:
            found[message.partition()].append(message)
    consumer.close()
    return found


def flat(found: dict[int, list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(found.values()))


def urls_of(messages: list[Any]) -> list[str]:
    codec = Codec()
    readable = [message.value() for message in messages if message.value()[:1] == b"\xc3"]
    return [codec.decode("ImageUrl", value)["url"] for value in readable]


async def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.1)


async def test_order_is_kept_and_every_record_ends_once(kafka: Kafka) -> None:
    kafka = prepared(kafka, "order.")
    sent: list[str | bytes] = [f"u{number}" for number in range(400)]
    sent[10], sent[21], sent[33] = "reject-10", "bug-21", b"no avro at all"
    put(kafka, sent)
    stage = Shuffling()
    worker = make_worker(kafka, stage, "0")
    running = asyncio.create_task(worker.run())
    await until(lambda: len(stage.seen) == 399)
    started = time.monotonic()
    worker.stop()
    await running
    assert time.monotonic() - started < 10

    out = await asyncio.to_thread(got, kafka, "out")
    into = await asyncio.to_thread(got, kafka, "in")
    assert sum(map(len, into.values())) == 400
    for number, messages in out.items():
        lane = urls_of(into[number])
        assert urls_of(messages) == [url for url in lane if url.startswith("u")]
        assert all(message.headers() == [("run", b"r1")] for message in messages)
    (reject,) = flat(await asyncio.to_thread(got, kafka, REJECTS))
    assert Codec().decode("Reject", reject.value())["reason"] == "too-small"
    dead = flat(await asyncio.to_thread(got, kafka, DEAD_LETTERS))
    values = {message.value() for message in dead}
    assert len(dead) == 2 and b"no avro at all" in values
    for message in dead:
        headers = dict(message.headers())
        assert headers["dead-letter-topic"] == b"order.in"
        assert headers["dead-letter-stage"] == b"shuffling" and headers["run"] == b"r1"


async def test_a_worker_whose_fetch_has_stalled_joins_anew_and_loses_nothing(
    kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = prepared(kafka, "stalled.")
    stage = Shuffling()
    worker = make_worker(kafka, stage, "0")
    put(kafka, [f"a{number}" for number in range(400)])
    running = asyncio.create_task(worker.run())
    await until(lambda: len(stage.seen) > 50)
    before = worker._membership._consumer
    worker._membership._stuck = {(kafka.prefix + "in", 0)}  # as `Stalled` would say
    await until(lambda: worker._membership._consumer is not before)
    put(kafka, [f"b{number}" for number in range(100)])
    await until(lambda: sum(url.startswith("b") for url in set(stage.seen)) == 100)
    worker.stop()
    await running
    assert "fetching has stalled, joining anew" in caplog.text
    into, out = [await asyncio.to_thread(got, kafka, topic) for topic in ("in", "out")]
    for number, messages in out.items():
        assert urls_of(messages) == urls_of(into[number])


async def test_a_second_worker_takes_over_without_losing_or_doubling(kafka: Kafka) -> None:
    kafka = prepared(kafka, "second.")
    first, second = Shuffling(), Shuffling()
    one, two = make_worker(kafka, first, "0"), make_worker(kafka, second, "1")
    put(kafka, [f"a{number}" for number in range(600)])
    running = [asyncio.create_task(one.run())]
    await until(lambda: len(first.seen) > 50)
    running.append(asyncio.create_task(two.run()))
    await until(lambda: len(two.partitions) == PARTITIONS // 2)
    put(kafka, [f"b{number}" for number in range(200)])
    await until(lambda: any(url.startswith("b") for url in second.seen))
    one.stop()  # its partitions go to the other, with whatever it had not committed
    await running[0]
    await until(lambda: len(two.partitions) == PARTITIONS)

    def complete() -> bool:
        return sum(len(messages) for messages in got(kafka, "out").values()) >= 800

    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(complete):
        assert time.monotonic() < deadline
    two.stop()
    await running[1]
    out = await asyncio.to_thread(got, kafka, "out")
    into = await asyncio.to_thread(got, kafka, "in")
    assert {number: urls_of(each) for number, each in out.items()} == {
        number: urls_of(each) for number, each in into.items()
    }


async def test_a_dependency_that_is_down_stops_the_worker_and_commits_no_more(kafka: Kafka) -> None:
    kafka = prepared(kafka, "down.")
    put(kafka, ["u0", "down", "u2", "u3"], key="one partition")
    with pytest.raises(StoreError, match="the store is down"):
        await asyncio.wait_for(make_worker(kafka, Shuffling(), "0").run(), 60)
    out = await asyncio.to_thread(got, kafka, "out")
    # What follows the one that could not be done was finished, perhaps, but is not committed.
    assert urls_of(flat(out)) in ([], ["u0"])


@pytest.mark.parametrize("kind", ["bug", "reject"])
async def test_a_stage_that_gives_up_most_of_its_records_stops(kafka: Kafka, kind: str) -> None:
    """Before it has drained the topic: what is over the share is not committed."""
    kafka = prepared(kafka, f"breaker-{kind}.")
    topic = DEAD_LETTERS if kind == "bug" else REJECTS
    good = [f"u{number}" for number in range(30)]
    put(kafka, [*good, *(f"{kind}-{number}" for number in range(300))], key="one partition")
    for start in (1, 2):
        stage = Shuffling()
        stage.breaks_on = frozenset({"too-small"})  # type: ignore[attr-defined]
        worker = make_worker(kafka, stage, "0", breaker_share=0.5, breaker_window=40)
        with pytest.raises(CircuitOpen, match=r"shuffling: 21 of the last (40|21) records"):
            await asyncio.wait_for(worker.run(), 60)
        given_up = flat(await asyncio.to_thread(got, kafka, topic))
        assert 0 < len(given_up) <= 20 * start
    out = flat(await asyncio.to_thread(got, kafka, "out"))
    assert urls_of(out) == good
