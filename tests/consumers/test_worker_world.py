"""Workers that come, go, are lost, and whose transactions fail: every record once, in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from consumers import membership, starting, worker
from consumers.join_source import JoinSource
from consumers.outputs import Outputs
from consumers.source import Source, TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.worker import Worker
from densefusion.settings import Kafka, Settings
from tests.consumers.group_world import Group, GroupConsumer, GroupTransactions, Place
from tests.consumers.records import CODEC, image, prior

EXPERTS = ("tagging", "ocr")
NUMBERS = range(3)
SIZE = 60
TROUBLE = 0.8  # seconds
IMAGES = {
    ("images", n): [CODEC.encode("Image", image(f"{n}-{at}"), "") for at in range(SIZE)]
    for n in NUMBERS
}
PRIORS = {
    (expert, n): [
        CODEC.encode(f"Prior:{expert}", prior(expert, f"{n}-{at}", at, partition=n), "")
        for at in range(SIZE)
    ]
    for expert in EXPERTS
    for n in NUMBERS
}


class Dawdling:
    """Says of each record where it was, and with what it was joined; takes its time."""

    name = "dawdling"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[Place]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        if self._chance.random() < 0.6:
            await asyncio.sleep(self._chance.random() * 0.01)
        elif self._chance.random() < 0.05:
            await asyncio.sleep(self._chance.random() * 0.2)
        joined = {name: each.offset for name, each in record.joined.items()}
        said = f"{record.offset} {joined} {dict(record.missing)}"
        return [Emit("out", f"{record.partition}", said.encode(), "Image")]


class Workers:
    """The workers of one group."""

    def __init__(self, group: Group, source: Callable[[], Source]) -> None:
        self._group = group
        self._source = source
        self._running: list[tuple[Worker, asyncio.Task[None]]] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(self) -> None:
        group = self._group
        kafka = Kafka(group_protocol="consumer" if group.incremental else "classic")
        short = {"commit_interval": 0.01, "window": 12, "revoke_grace": 0.05, "shutdown_grace": 1}
        made = Worker(
            Dawdling(group.chance),
            self._source(),
            lambda: GroupConsumer(group),  # type: ignore[arg-type, return-value]
            GroupTransactions(group),  # type: ignore[arg-type]
            Outputs("dawdling", CODEC, ""),
            Settings().worker.model_copy(update=short),
            Starting(kafka),
            in_flight=6,
        )
        self._running.append((made, asyncio.create_task(made.run())))

    async def stop_one(self) -> None:
        made, running = self._running.pop(self._group.chance.randrange(len(self._running)))
        made.stop()
        async with asyncio.timeout(20):
            await running

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not done():
                for _, running in self._running:
                    assert not running.done(), running.exception()
                await asyncio.sleep(0.01)


async def trouble(group: Group, workers: Workers) -> None:
    until = time.monotonic() + TROUBLE
    while time.monotonic() < until:
        await asyncio.sleep(group.chance.random() * 0.15)
        match group.chance.choice(["lose", "rebalance", "come", "go"]):
            case "lose":
                group.lose()
            case "rebalance":
                group.rebalance()
            case "come" if len(workers) < 4:
                workers.start()
            case "go" if len(workers) > 1:
                await workers.stop_one()


async def world(
    logs: Mapping[Place, Sequence[bytes]], seed: int, source: Callable[[], Source], **rules: bool
) -> None:
    group = Group(logs, random.Random(seed), **rules)
    workers = Workers(group, source)
    for _ in range(2):
        workers.start()
    await trouble(group, workers)
    group.calm = True
    group.rebalance()
    await workers.until(lambda: all(group.committed["images", n] == SIZE for n in NUMBERS))
    while len(workers):
        await workers.stop_one()
    joined = len(logs) > len(NUMBERS)
    for number in NUMBERS:
        found = [each.value for each in group.published if each.key == f"{number}".encode()]
        assert found == [
            f"{at} { {expert: at for expert in EXPERTS} if joined else {} } {{}}".encode()
            for at in range(SIZE)
        ], f"seed {seed}, partition {number}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_REVOKE_COMMIT_SECONDS", 0.15)
    monkeypatch.setattr(membership, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(starting, "_AGAIN_SECONDS", 0.01)


@pytest.mark.parametrize("incremental", [False, True], ids=["classic", "consumer"])
async def test_records_of_one_topic(incremental: bool) -> None:
    def source() -> Source:
        return TopicSource({"images": "Image"}, CODEC, depth=20)

    await asyncio.gather(
        *(world(IMAGES, seed, source, incremental=incremental) for seed in range(3))
    )


@pytest.mark.parametrize("incremental", [False, True], ids=["classic", "consumer"])
async def test_records_that_are_joined(incremental: bool) -> None:
    """Some assignments scatter the partitions of a number; then it waits, and is read again."""

    def source() -> Source:
        names = {expert: expert for expert in EXPERTS}
        return JoinSource("images", names, CODEC, window=8, deadline=1000)

    await asyncio.gather(
        *(
            world(IMAGES | PRIORS, seed, source, incremental=incremental, scattered=incremental)
            for seed in range(3)
        )
    )
