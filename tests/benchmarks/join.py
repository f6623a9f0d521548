"""Fusion's five-way join, beside its peers: python tests/benchmarks/join.py --help

Each contender joins the same images with the same four experts' priors, from topics on the broker
to a topic of captions, in a process of its own, with the same Avro codec and no caption engine.
A reader counts the captions: the clock starts when a tenth is there and stops at the last.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import brokers
import contender
import records
import typer
from confluent_kafka import Message
from contenders import wire
from rich.console import Console
from rich.table import Table

from densefusion.settings import Kafka

PARTITIONS = 4
_WARM = 0.1
_SECONDS = 300.0
# Name of each contender: its program, and what that is told.
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bare, decoding": ("join_bare", {"decode": True}),
    "bare, spliced": ("join_bare", {"decode": False}),
    "worker": ("join_worker", {}),
    "bytewax": ("join_bytewax", {}),
    "quixstreams": ("join_quixstreams", {}),
}


@dataclass(slots=True)
class Row:
    """What one contender did.

    Attributes:
        rate: images a second.
        cpu: microseconds of CPU an image, all its threads.
        peak: largest resident memory, MB.
        captions: distinct images captioned, with all priors.
        twice: captions beyond one an image.
    """

    contender: str
    rate: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    captions: int = 0
    twice: int = 0
    note: str = ""


def fill(kafka: Kafka, images: int) -> int:
    """Images in order on their partitions, and each expert's priors; bytes of one image's five."""
    made, filler = records.Records(), brokers.Filler(kafka)
    topics = wire.topics(kafka.prefix)
    size = 0
    for number in range(images):
        offset, partition = divmod(number, PARTITIONS)
        name = records.image_id(number)
        key = name.encode()
        for stream, topic in topics.items():
            bodies = made.images if stream == wire.IMAGES else made.priors[stream]
            value = bodies.record(name, partition, offset, body=number)
            size += len(value)
            filler.put(topic, key, value, partition)
    filler.finish()
    return size // images


class Count:
    """Counts captions as they come, and knows when a share of them was there."""

    def __init__(self, images: int, process: contender.Contender) -> None:
        self._seen = bytearray(images)
        self._images = images
        self._process = process
        self._warm: tuple[float, int, float] | None = None
        self._last: tuple[float, int, float] | None = None
        self.total = 0
        self.distinct = 0

    def see(self, messages: Sequence[Message]) -> bool:
        self._process.check()
        for message in messages:
            number = int((message.key() or b"")[:12], 16)
            self.distinct += not self._seen[number]
            self._seen[number] = 1
        self.total += len(messages)
        if messages:
            self._last = (time.monotonic(), self.total, self._process.cpu())
            self._process.peak()
            if self._warm is None and self.total >= _WARM * self._images:
                self._warm = self._last
        return self.distinct >= self._images

    def into(self, row: Row) -> None:
        row.captions, row.twice = self.distinct, self.total - self.distinct
        row.peak = self._process.peak()
        if self._warm and self._last and (count := self._last[1] - self._warm[1]):
            row.rate = count / (self._last[0] - self._warm[0])
            row.cpu = (self._last[2] - self._warm[2]) / count * 1e6


def measure(kafka: Kafka, name: str, images: int, folder: Path) -> Row:
    """Run one contender over all images."""
    row = Row(name)
    program, told = CONTENDERS[name]
    arguments = {"kafka": kafka.model_dump(mode="json"), **told}
    out = kafka.prefix + wire.CAPTIONS
    try:
        words = contender.command(name, program, arguments)
        with contender.started(name, words, folder / f"{program}.log") as process:
            count = Count(images, process)
            try:
                brokers.read(kafka, out, PARTITIONS, count.see, quiet=60)
            finally:
                count.into(row)
    except (LookupError, contender.ContenderFailed, TimeoutError) as error:
        row.note = str(error)
    return row


def show(rows: Sequence[Row], title: str) -> None:
    table = Table(
        "contender", "images/s", "of bytewax", "CPU µs/image", "peak MB", "captions", "twice",
        title=title,
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    bytewax = next((row.rate for row in rows if row.contender == "bytewax"), 0.0)
    for row in rows:
        if not row.rate:
            table.add_row(row.contender, row.note.partition("\n")[0])
            continue
        ratio = f"{row.rate / bytewax:.2f}" if bytewax else ""
        table.add_row(
            row.contender, f"{row.rate:,.0f}", ratio, f"{row.cpu:.0f}", f"{row.peak:.0f}",
            str(row.captions), str(row.twice),
        )  # fmt: skip
    console = Console()
    console.print(table)


def main(
    images: Annotated[int, typer.Option(min=5_000, help="Images to join.")] = 40_000,
    bootstrap: Annotated[str | None, typer.Option(help="Brokers; else the embedded one.")] = None,
    kafka: Annotated[bool, typer.Option(help="On three brokers of Apache Kafka.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Contenders to run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Images a second through fusion's join, beside its peers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows = []
    with brokers.running(bootstrap, kafka=kafka) as on, tempfile.TemporaryDirectory() as name:
        for number, each in enumerate(only or CONTENDERS):
            run = on.kafka(f"join{int(time.time())}-{number}.", PARTITIONS)
            brokers.create(
                run, [wire.IMAGES, *(f"priors.{e}" for e in wire.EXPERTS), wire.CAPTIONS]
            )
            size = fill(run, images)
            rows.append(measure(run, each, images, Path(name)))
            print(rows[-1], file=sys.stderr)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        show(rows, f"{images} images, {size} bytes each with its priors, {on.name}")


if __name__ == "__main__":
    typer.run(main)
