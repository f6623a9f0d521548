"""A worker process of the fault tests: passes records on as they are, and keeps a journal.

A line of the journal is ``EVENT TOPIC
PARTITION OFFSET``: a record ``began``, was ``done``, was ``undone`` (cancelled); partitions were
``assigned`` or ``revoked`` (offset -1). It is written in one call, so it survives any way to die.
"""

from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Producer

from consumers.client_stats import ClientStats
from consumers.outputs import Outputs
from consumers.source import TopicPartition, TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients, logs
from densefusion.errors import DenseFusionError
from densefusion.processes import die_with_parent
from densefusion.settings import Settings
from densefusion.store import ObjectStore
from schemas import Codec

CODEC = Codec()  # once, before the workers are forked
Write = Callable[[str, str, int, int], None]


class Passing:
    """Every record goes on as it came, after `seconds` of work, by way of the store if given."""

    name = "passing"

    def __init__(self, write: Write, seconds: float, store: ObjectStore | None) -> None:
        self._write = write
        self._seconds = seconds
        self._store = store

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[TopicPartition]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        place = record.topic, record.partition, record.offset
        self._write("began", *place)
        try:
            # Neighbours finish out of order: by up to double the time, the same at every try.
            share = hashlib.sha256(record.raw).digest()[0] / 128
            await asyncio.sleep(self._seconds * share)
            value = record.raw
            if self._store is not None:
                key = f"passed/{record.partition}/{record.offset}"
                await self._store.put(key, value, "application/octet-stream")
                value = await self._store.get(key)
        except asyncio.CancelledError:
            self._write("undone", *place)
            raise
        self._write("done", *place)
        return [Emit("out", record.key, value, "ImageUrl")]


class JournalledSource(TopicSource):
    def __init__(self, topic: str, codec: Codec, write: Write) -> None:
        super().__init__({topic: "ImageUrl"}, codec)
        self._write = write

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        partitions = list(partitions)
        super().assigned(partitions)
        for topic, number in partitions:
            self._write("assigned", topic, number, -1)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        partitions = list(partitions)
        super().revoked(partitions)
        for topic, number in partitions:
            self._write("revoked", topic, number, -1)


class Stopping:
    """A producer that SIGSTOPs its own process in mid-transaction, once.

    Args:
        where: ``produced``: everything is, and no offsets are sent; ``offsets``: those as well.
        at: in which transaction, from 1.
    """

    def __init__(self, producer: Producer, where: str, at: int) -> None:
        self._producer = producer
        self._where = where
        self._left = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def send_offsets_to_transaction(self, *args: Any) -> None:
        self._left -= 1
        if self._left == 0 and self._where == "produced":
            self._producer.flush(10)
            os.kill(os.getpid(), signal.SIGSTOP)
        self._producer.send_offsets_to_transaction(*args)
        if self._left == 0 and self._where == "offsets":
            os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do.

    Attributes:
        work: seconds a record, on average.
        store: put each record into the object store, and get it back.
        stop: SIGSTOP once: ``produced:N`` or ``offsets:N``, in the N-th transaction.
    """

    work: float = 0.0
    store: bool = False
    stop: str = ""


def build(settings: Settings, task: Task, write: Write) -> Worker:
    kafka = settings.kafka
    instance = settings.worker.instance
    assert instance is not None
    identity = f"{kafka.prefix}{Passing.name}-{instance}"

    stops = [task.stop.split(":")] if task.stop else []

    def producer(**callbacks: Any) -> Producer:
        made = clients.producer(kafka, identity, **callbacks)
        if not stops:
            return made
        where, at = stops.pop()
        return cast(Producer, Stopping(made, where, int(at)))

    store = ObjectStore(settings.store) if task.store else None
    stats = ClientStats(Passing.name)
    return Worker(
        Passing(write, task.work, store),
        JournalledSource(kafka.prefix + "in", CODEC, write),
        partial(clients.consumer, kafka, Passing.name, instance=instance, on_stats=stats),
        Transactions(producer, patience=kafka.retry_for),
        Outputs(Passing.name, CODEC, kafka.prefix),
        settings.worker,
        Starting(kafka),
        in_flight=settings.worker.in_flight,
        stats=stats,
    )


async def run(worker: Worker) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


def run_worker(settings: Settings, task: Task, journal: Path, log_file: Path) -> None:
    """The whole life of the process. It ends with 2 where the worker does with an error of ours."""
    die_with_parent()
    with log_file.open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.register(signal.SIGUSR1, file=2)  # say where every thread is
    logs.set_up("info", "text")
    lines = os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        asyncio.run(run(build(settings, task, partial(_write, lines))))
    except DenseFusionError as error:
        print(f"ended: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    print("left", file=sys.stderr, flush=True)


def _write(journal: int, event: str, topic: str, partition: int, offset: int) -> None:
    os.write(journal, f"{event} {topic} {partition} {offset}\n".encode())
