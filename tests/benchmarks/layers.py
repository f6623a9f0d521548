"""What each layer of the worker costs a record: the same records through one layer at a time.

Each layer runs alone, in this process, so its CPU time is its own, librdkafka's threads
included. What the whole worker takes beyond their sum is its loop: events, tasks, turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Message, TopicPartition
from rich.table import Table

from consumers.lanes import Lanes
from consumers.outputs import Outputs
from consumers.source import Arrival, TopicSource
from consumers.stage import Emit, Record
from consumers.transaction import Outgoing, Transactions
from densefusion import clients
from densefusion.settings import Kafka
from schemas import Codec

_POLL = 500  # messages at a time, as the worker polls them
_COMMIT = 20_000  # records in a transaction: half a second of a busy stream


@dataclass(frozen=True, slots=True)
class Layer:
    """Microseconds a record of one layer, on the clock and of CPU."""

    name: str
    wall: float
    cpu: float


class _Clock:
    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def time(self, name: str, count: int, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.layers.append(Layer(name, wall / count * 1e6, cpu / count * 1e6))


def costs(kafka: Kafka, records: int) -> list[Layer]:
    """Time the layers on the `records` that lie on the topic ``in``."""
    topic, clock, codec = kafka.prefix + "in", _Clock(), Codec()
    consumer = clients.consumer(kafka, "layers")
    places = [TopicPartition(topic, number, 0) for number in range(kafka.partitions)]
    consumer.assign(places)
    messages: list[Message] = consumer.consume(1, 30)  # connected

    def poll() -> None:
        while len(messages) < records:
            if not (one := consumer.consume(1, 10)):
                raise TimeoutError(f"{len(messages)} of {records} records came")
            messages.extend(one + consumer.consume(_POLL - 1, 0))

    clock.time("poll: up to 500 at a time", records - 1, poll)
    arrivals: list[Arrival] = []
    source = TopicSource({topic: "ImageUrl"}, codec)
    source.assigned([(place.topic, place.partition) for place in places])

    def buffer() -> None:
        for at in range(0, len(messages), _POLL):
            for message in messages[at : at + _POLL]:
                source.offer([message], 0.0)
            while (arrival := source.take(set(), 0.0)) is not None:
                arrivals.append(arrival)

    clock.time("source: offer, take", records, buffer)
    taken = [record for arrival in arrivals if (record := arrival.record) is not None]
    emits: list[Sequence[Emit]] = []
    clock.time("process: one await", records, lambda: asyncio.run(_process(taken, emits)))
    outputs = Outputs("layers", codec, kafka.prefix)
    outgoing: list[list[Outgoing]] = []

    def emit() -> None:
        for emitted, arrival in zip(emits, arrivals, strict=True):
            outgoing.append(outputs.emitted(emitted, arrival))

    clock.time("outputs: emitted", records, emit)
    clock.time("lanes: add, finish, take", records, lambda: _lanes(arrivals, outgoing))
    transactions = Transactions(partial(clients.producer, kafka, kafka.prefix + "layers-0"))
    transactions.open()
    flat = [each for some in outgoing for each in some]
    metadata = consumer.consumer_group_metadata()

    def commit() -> None:
        for at in range(0, len(flat), _COMMIT):
            transactions.commit(flat[at : at + _COMMIT], {(topic, 0): at + 1}, metadata)

    clock.time("commit: produce, transaction", records, commit)

    def decode() -> None:
        for message in messages:
            codec.decode("ImageUrl", message.value())

    clock.time("(not in it: decoding the record)", records, decode)
    consumer.close()
    transactions.close()
    return clock.layers


async def _process(records: Sequence[Record], emits: list[Sequence[Emit]]) -> None:
    async def process(record: Record) -> Sequence[Emit]:
        return [Emit("out", record.key, record.raw, "ImageUrl")]

    for record in records:
        emits.append(await process(record))


def _lanes(arrivals: Sequence[Arrival], outgoing: Sequence[list[Outgoing]]) -> None:
    lanes = Lanes(_COMMIT)
    for at in range(0, len(arrivals), _POLL):
        slots = [lanes.add(arrival) for arrival in arrivals[at : at + _POLL]]
        for slot, outputs in zip(slots, outgoing[at : at + _POLL], strict=True):
            slot.outgoing = outputs
        batch = lanes.take_finished()
        batch.outgoing()
        batch.offsets()


def table(layers: Sequence[Layer]) -> Table:
    """For the terminal."""
    shown = Table("layer of the worker, alone", "µs/record", "CPU µs/record")
    for column in shown.columns[1:]:
        column.justify = "right"
    for layer in layers:
        shown.add_row(layer.name, f"{layer.wall:.2f}", f"{layer.cpu:.2f}")
    inside = [layer for layer in layers if not layer.name.startswith("(")]
    shown.add_row("sum", *(f"{sum(each):.2f}" for each in zip(
        *((layer.wall, layer.cpu) for layer in inside), strict=True)))  # fmt: skip
    return shown
