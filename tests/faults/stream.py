"""What goes into a fault test's workers and what comes out, seen as a careful reader sees it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from densefusion import clients
from densefusion.settings import Kafka
from densefusion.topics import DEAD_LETTERS, REJECTS, Topics

_KEYS = 50


@dataclass(slots=True)
class Stream:
    """Topics ``in`` and ``out`` under a prefix; numbered records of some fifty keys go in.

    Attributes:
        sent: how many, so far.
    """

    kafka: Kafka
    sent: int = 0

    def prepare(self) -> Stream:
        made = Topics(self.kafka, clients.common(self.kafka)).create(
            ["in", "out", REJECTS, DEAD_LETTERS]
        )
        assert len(made) == 4, "the topics of another test are there"
        return self

    def put(self, count: int, seconds: float = 30) -> None:
        """Send `count` further records, all of them acknowledged."""
        producer = clients.producer(self.kafka)
        for number in range(self.sent, self.sent + count):
            value = f"record {number:06}".encode()
            producer.produce(self.kafka.prefix + "in", value, f"key {number % _KEYS}")
        assert producer.flush(seconds) == 0
        self.sent += count

    async def feed(self, rate: float, stop: asyncio.Event) -> None:
        """Go on sending `rate` records a second until `stop`, through whatever happens."""
        producer = clients.producer(self.kafka)
        failed: list[KafkaError] = []
        while not stop.is_set():
            producer.produce(
                self.kafka.prefix + "in",
                f"record {self.sent:06}".encode(),
                f"key {self.sent % _KEYS}",
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
            self.sent += 1
            producer.poll(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / rate):
                    await stop.wait()
        assert await asyncio.to_thread(producer.flush, 60) == 0
        assert not failed, failed[0]

    def read(
        self,
        topic: str,
        *,
        at_least: int = 0,
        seconds: float = 60,
        isolation: str = "read_committed",
    ) -> dict[int, list[bytes]]:
        """The values on each partition: until `at_least` are there, and then nothing more comes."""
        name = self.kafka.prefix + topic
        consumer = Consumer(
            {
                **clients.common(self.kafka),
                "group.id": "reader",
                "isolation.level": isolation,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        numbers = range(self.kafka.partitions)
        consumer.assign([TopicPartition(name, number, 0) for number in numbers])
        found: dict[int, list[bytes]] = {number: [] for number in numbers}
        count, quiet, deadline = 0, time.monotonic(), time.monotonic() + seconds
        while time.monotonic() < (quiet + 1.0 if count >= at_least else deadline):
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    found[message.partition() or 0].append(message.value() or b"")
                    count, quiet = count + 1, time.monotonic()
        consumer.close()
        return found

    async def expect_all(self, seconds: float = 60) -> None:
        """Every record sent is on `out` exactly once, in the order of its partition of `in`."""
        out = await asyncio.to_thread(self.read, "out", at_least=self.sent, seconds=seconds)
        into = await asyncio.to_thread(self.read, "in", at_least=self.sent)
        assert sum(map(len, into.values())) == self.sent
        for number, expected in into.items():
            assert out[number] == expected, _difference(number, out[number], expected)
        rest = await asyncio.to_thread(self.read, DEAD_LETTERS)
        assert not any(rest.values()), rest


class Watch:
    """Follows `out` in the background, to say how long it stood still.

    Used as ``async with Watch(stream) as watch``; `longest_gap` afterwards, or in between.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._times: list[float] = []
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(asyncio.to_thread(self._follow))
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        await self._task

    @property
    def count(self) -> int:
        return len(self._times)

    def longest_gap(self, since: float = 0.0) -> float:
        """Seconds between two neighbouring records that could be read, at the most."""
        times = [each for each in self._times if each >= since]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def _follow(self) -> None:
        kafka = self._stream.kafka
        consumer = Consumer(
            {
                **clients.common(kafka),
                "group.id": "watch",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
            }
        )
        name = kafka.prefix + "out"
        consumer.assign([TopicPartition(name, number, 0) for number in range(kafka.partitions)])
        while not self._stop.is_set():
            messages = consumer.consume(1000, 0.05)
            now = time.monotonic()
            self._times += [now for message in messages if message.error() is None]
        consumer.close()


def committed_offsets(kafka: Kafka, group: str) -> dict[int, int]:
    """Where a group stands on ``in``: partition -> offset (negative where it has none)."""
    reader = Consumer({**clients.common(kafka), "group.id": kafka.prefix + group})
    places = [TopicPartition(kafka.prefix + "in", number) for number in range(kafka.partitions)]
    try:
        return {each.partition: each.offset for each in reader.committed(places, timeout=20)}
    except KafkaException as error:
        raise AssertionError(f"committed offsets: {error}") from error
    finally:
        reader.close()


def _difference(number: int, got: Sequence[bytes], expected: Sequence[bytes]) -> str:
    lost, more = set(expected) - set(got), len(got) - len(set(got))
    at = next((n for n, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), -1)
    return (
        f"partition {number}: {len(got)} of {len(expected)}; {len(lost)} lost ({sorted(lost)[:3]}) "
        f"{more} twice, first difference at {at}"
    )
