"""Fusion workers on real brokers, and what they are fed: images, and their experts' answers.

The workers run in this process and share one object store in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Message

from consumers.fusion import Fusion
from consumers.incomplete import Incomplete
from consumers.join_source import JoinSource
from consumers.outputs import Outputs
from consumers.source import TopicPartition
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients, topics
from densefusion.settings import Kafka, Settings
from densefusion.topics import Topics
from engines.captions import Captioned, CaptionTask
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC, image, prior
from tests.faults.stream import Stream

EXPERTS = ("tagging", "ocr")
Place = tuple[str, int, int]  # image id, partition, offset


class NamesExperts:
    """A caption engine that says which experts it was told of."""

    name = "names-experts"
    saw_image = False

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def caption(self, task: CaptionTask) -> Captioned:
        await asyncio.sleep(0.005)
        return Captioned(" ".join(sorted(task.priors)), 0.0)


class JournalledJoin(JoinSource):
    """A join that notes which partitions were taken from it, and which it read again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.taken: set[TopicPartition] = set()
        self.read_again: set[TopicPartition] = set()

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        gone = set(partitions)
        for number, held in self._numbers.items():
            self.taken |= {(topic, number) for topic in held.ours} & gone
        super().revoked(gone)

    def rewinds(self) -> set[TopicPartition]:
        found = super().rewinds()
        self.read_again |= found
        return found


class Member:
    """One fusion worker."""

    def __init__(self, worker: Worker, source: JournalledJoin) -> None:
        self.source = source
        self._worker = worker
        self._running = asyncio.create_task(worker.run())

    @property
    def holds(self) -> set[TopicPartition]:
        if self._running.done():
            self._running.result()
        return set(self._worker.partitions)

    async def leave(self) -> None:
        self._worker.stop()
        await self._running


class Joining:
    """Topics under a prefix, with images, answers, and fusion workers that join them.

    Attributes:
        images: those sent, in the order of their partition.
        late: priors that came, by the rules, after their images had left.
    """

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.images: list[Place] = []
        self.late = 0
        self._store = InMemoryStore()
        self._producer = clients.producer(kafka)
        names = [topics.IMAGES, *map(topics.priors, EXPERTS), topics.CAPTIONS]
        names += [topics.REJECTS, topics.DEAD_LETTERS]
        assert len(Topics(kafka, clients.common(kafka)).create(names)) == len(names)

    def put(self, count: int) -> list[Place]:
        """Send so many images; where they lie, in the order of each partition."""
        sent: list[Place] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            image_id = (message.key() or b"").decode()
            sent.append((image_id, message.partition() or 0, message.offset() or 0))

        topic = self.kafka.prefix + topics.IMAGES
        for number in range(len(self.images), len(self.images) + count):
            image_id = f"image-{number:04}"
            value = CODEC.encode("Image", image(image_id), topic)
            self._producer.produce(topic, value, image_id, on_delivery=delivered)
        assert self._producer.flush(30) == 0 and len(sent) == count
        sent.sort(key=lambda place: place[1:])
        self.images += sent
        return sent

    def answer(self, expert: str, images: Sequence[Place]) -> None:
        """An expert's answers for these images, in their order."""
        topic = self.kafka.prefix + topics.priors(expert)
        for image_id, partition, offset in images:
            said = prior(expert, image_id, offset, partition=partition)
            value = CODEC.encode(f"Prior:{expert}", said, topic)
            self._producer.produce(topic, value, image_id, partition=partition)
        assert self._producer.flush(30) == 0

    @contextlib.asynccontextmanager
    async def fusion(
        self,
        name: str,
        *,
        deadline: float,
        recaption: bool = False,
        roster: Sequence[str] = EXPERTS,
    ) -> AsyncIterator[Member]:
        """A worker; it has left at the end."""
        prefix = self.kafka.prefix
        captions = prefix + topics.CAPTIONS
        incomplete = Incomplete(self._store, CODEC, captions) if recaption else None  # type: ignore[arg-type]
        source = JournalledJoin(
            prefix + topics.IMAGES,
            {expert: prefix + topics.priors(expert) for expert in roster},
            CODEC, window=40, deadline=deadline, keep_late=recaption,
        )  # fmt: skip
        worker = Worker(
            Fusion(NamesExperts(), self._store, CODEC, incomplete),  # type: ignore[arg-type]
            source,
            partial(clients.consumer, self.kafka, "fusion", instance=name),
            Transactions(partial(clients.producer, self.kafka, f"{prefix}fusion-{name}")),
            Outputs("fusion", CODEC, prefix),
            Settings().worker.model_copy(update={"commit_interval": 0.2}),
            Starting(self.kafka),
            in_flight=8,
        )
        member = Member(worker, source)
        try:
            yield member
        finally:
            await member.leave()

    async def captions(self, at_least: int) -> dict[int, list[dict[str, Any]]]:
        """All captions by partition, once there are so many, and no more come."""
        reader = Stream(self.kafka)
        raw = await asyncio.to_thread(reader.read, topics.CAPTIONS, at_least=at_least, seconds=60)
        dead = await asyncio.to_thread(reader.read, topics.DEAD_LETTERS)
        assert not any(dead.values()), dead
        return {
            number: [CODEC.decode("Caption", value) for value in values]
            for number, values in raw.items()
        }


async def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:.0f} s for {what}") from None
