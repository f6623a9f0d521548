"""The brokers that a benchmark runs on: embedded ones, a real cluster, or given ones."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from densefusion import clients
from densefusion.errors import SettingsError
from densefusion.settings import Kafka, Settings
from densefusion.stack import EmbeddedStack
from densefusion.topics import Topics

_QUIET = 10.0  # seconds without a message after which a topic counts as read


@dataclass(frozen=True, slots=True)
class Brokers:
    """Brokers and an object store that run.

    Attributes:
        name: for the table.
        settings: point at both.
    """

    name: str
    settings: Settings

    @property
    def bootstrap(self) -> str:
        assert self.settings.kafka.bootstrap is not None
        return self.settings.kafka.bootstrap

    def kafka(self, prefix: str, partitions: int) -> Kafka:
        """Kafka settings with names and a partition count of their own."""
        return self.settings.kafka.model_copy(update={"prefix": prefix, "partitions": partitions})


@contextmanager
def running(bootstrap: str | None, *, kafka: bool = False) -> Iterator[Brokers]:
    """Start what is needed, and stop it in the end.

    Args:
        bootstrap: use these brokers, host:port.
        kafka: start three brokers of Apache Kafka (`deploy/kafka`), else the embedded one.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="densefusion-bench-")))
        # The object store is the embedded one in every case.
        embedded = stack.enter_context(EmbeddedStack(folder / "stack", durable=False))
        settings = embedded.apply(Settings())
        name = "embedded broker (tansu)"
        if kafka:
            bootstrap, name = _cluster(stack, folder), "three brokers of Apache Kafka"
        elif bootstrap:
            name = bootstrap
        if bootstrap:
            update = {"bootstrap": bootstrap, "volatile": False, "replication": 3 if kafka else 1}
            changed = settings.kafka.model_copy(update=update)
            settings = settings.model_copy(update={"kafka": changed})
        yield Brokers(name, settings)


def _cluster(stack: ExitStack, folder: Path) -> str:
    sys.path.append(str(Path(__file__).parents[2]))
    from deploy.kafka.cluster import KafkaCluster, available  # needs Java; the others do not

    if (why := available()) is not None:
        raise SettingsError(why)
    return stack.enter_context(KafkaCluster(folder / "kafka")).bootstrap


def create(kafka: Kafka, names: Sequence[str]) -> None:
    """Make topics, named without the prefix."""
    Topics(kafka, clients.common(kafka)).create(names)


class Filler:
    """Puts records on topics in order, from one producer, without waiting for each."""

    def __init__(self, kafka: Kafka) -> None:
        self._producer: Producer = clients.producer(kafka)

    def put(self, topic: str, key: bytes, value: bytes, partition: int = -1) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def finish(self) -> None:
        """Raises `TimeoutError` where the brokers do not take it all."""
        if left := self._producer.flush(120):
            raise TimeoutError(f"the brokers have not taken {left} records")


def read(
    kafka: Kafka,
    topic: str,
    partitions: int,
    see: Callable[[Sequence[Message]], bool],
    *,
    quiet: float = _QUIET,
) -> None:
    """Give committed messages of a topic to `see`, until it says that it has enough.

    End offsets are not asked for: the embedded broker reports wrong ones.

    Raises:
        TimeoutError: nothing came for `quiet` seconds.
    """
    consumer = clients.consumer(kafka, "bench-reader")
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    heard = time.monotonic()
    try:
        while True:
            messages = [each for each in consumer.consume(10_000, 0.2) if each.error() is None]
            if messages:
                heard = time.monotonic()
            if see(messages):
                return
            if time.monotonic() - heard > quiet:
                raise TimeoutError(f"no more messages on {topic}")
    finally:
        consumer.close()


class Committed:
    """What a group has committed on a topic, asked for without joining the group."""

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: int) -> None:
        # Without `read_committed`, since that makes the answer wait for transactions to end.
        self._probe = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
                "log_level": 2,
            }
        )
        self._places = [TopicPartition(topic, number) for number in range(partitions)]

    def by_partition(self) -> list[int]:
        """Offsets, 0 where there is none yet."""
        return [max(0, each.offset) for each in self._probe.committed(self._places, timeout=30)]

    def total(self) -> int:
        return sum(self.by_partition())

    def close(self) -> None:
        self._probe.close()


def key_numbers(messages: Iterable[Message]) -> list[int]:
    """The numbers that the messages' keys are, in decimal."""
    return [int(each.key() or b"-1") for each in messages]
