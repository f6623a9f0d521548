"""Memory of each stage under a backlog: python tests/benchmarks/backlog.py --help

A worker of each stage, as `densefusion worker` starts it, works for some seconds off a topic on
which a number of valid records lie; its memory is read from outside. What Kafka holds must cost a
worker nothing, so a backlog of a million must look like one of a thousand. For fusion one expert
is the whole backlog ahead of the others.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import brokers
import contender
import photographs
import pictures
import records
import typer
from contenders import wire
from rich.console import Console
from rich.table import Table

from densefusion import topics
from densefusion.settings import Settings, environment
from densefusion.store import ObjectStore
from schemas import Codec

PARTITIONS = 4
_PICTURES = 8
_BEHIND = 20_000  # priors of the experts that are not ahead
_START_SECONDS = 120.0
# The topic whose backlog each works off; in this order, since one's outputs are another's input.
INPUTS = {
    "dataset": topics.CAPTIONS,
    "fusion": topics.IMAGES,
    "detection": topics.IMAGES,
    "tagging": topics.IMAGES,
    "ocr": topics.IMAGES,
    "knowledge": topics.IMAGES,
    "curate": topics.FETCHED,
    "fetch": topics.URLS,
}


@dataclass(slots=True)
class Row:
    """One stage with one backlog; memory in MB.

    Attributes:
        start: resident when its first records were committed.
        middle, end: resident after half the time, and after all of it.
        peak: the most it ever had.
        done: records committed in the time.
    """

    stage: str
    backlog: int
    start: float = 0.0
    middle: float = 0.0
    end: float = 0.0
    peak: float = 0.0
    done: int = 0
    note: str = ""


def fill(
    settings: Settings, stages: Sequence[str], backlog: int, keys: Sequence[str], web: str
) -> None:
    """A backlog of valid records on every topic that `stages` read."""
    made, filler = records.Records(keys), brokers.Filler(settings.kafka)
    prefix = settings.kafka.prefix
    full = wire.topics(prefix)
    inputs = {INPUTS[stage] for stage in stages}
    codec, url = Codec(), {"url_id": "", "url": "", "published_at": datetime.now(UTC)}
    for number in range(backlog):
        offset, partition = divmod(number, PARTITIONS)
        name = records.image_id(number)
        key = name.encode()
        place = (name, partition, offset)
        if topics.IMAGES in inputs:
            filler.put(full[wire.IMAGES], key, made.images.record(*place, body=number), partition)
        if topics.FETCHED in inputs:
            value = made.images.record(*place, body=number)
            filler.put(prefix + topics.FETCHED, key, value, partition)
        if "fusion" in stages:
            for expert, bodies in made.priors.items():
                if expert == wire.EXPERTS[0] or number < _BEHIND:
                    filler.put(full[expert], key, bodies.record(*place, body=number), partition)
        if topics.CAPTIONS in inputs:
            value = made.captions.record(*place, body=number)
            filler.put(prefix + topics.CAPTIONS, key, value, partition)
        if topics.URLS in inputs:
            url["url_id"], url["url"] = name, f"http://{web}/{backlog}/{number}.jpg"
            value = codec.encode("ImageUrl", url, topics.URLS)
            filler.put(prefix + topics.URLS, key, value, partition)
    filler.finish()


def measure(settings: Settings, stage: str, backlog: int, seconds: float, folder: Path) -> Row:
    """Run a worker of `stage` for `seconds` after its first commit."""
    row = Row(stage, backlog)
    kafka = settings.kafka
    assert kafka.bootstrap is not None
    group, topic = kafka.prefix + stage, kafka.prefix + INPUTS[stage]
    done = brokers.Committed(kafka.bootstrap, group, topic, PARTITIONS)
    words = [sys.executable, "-m", "densefusion", "worker", stage, "--instance", "0"]
    try:
        with contender.started(
            stage, words, folder / f"{stage}-{backlog}.log", environment(settings)
        ) as process:
            for _ in contender.deadline(_START_SECONDS):
                process.check()
                if done.total():
                    break
                time.sleep(0.1)
            else:
                raise process.failed(f"committed nothing in {_START_SECONDS:.0f} s")
            row.start = process.resident()
            for left in contender.deadline(seconds):
                process.check()
                if not row.middle and left < seconds / 2:
                    row.middle = process.resident()
                time.sleep(0.1)
            row.end, row.peak, row.done = process.resident(), process.peak(), done.total()
    except contender.ContenderFailed as error:
        row.note = str(error)
    finally:
        done.close()
    return row


def put_pictures(settings: Settings, folder: Path) -> tuple[list[str], bytes]:
    """Pictures in the object store; their keys, and one of them."""
    rows = photographs.make(folder, _PICTURES, seed=3)
    bodies = [(folder / row["url"]).read_bytes() for row in rows]
    store = ObjectStore(settings.store)
    keys = [f"images/be/nc/{number}" for number in range(_PICTURES)]

    async def put() -> None:
        for key, body in zip(keys, bodies, strict=True):
            await store.put(key, body, "image/jpeg")

    asyncio.run(put())
    return keys, bodies[0]


def show(rows: Iterable[Row], title: str) -> None:
    table = Table(
        "stage", "backlog", "MB at start", "after half", "at the end", "peak", "records done",
        title=title,
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    for row in rows:
        if row.note:
            table.add_row(row.stage, f"{row.backlog:,}", row.note.partition("\n")[0])
            continue
        sizes = (f"{size:.0f}" for size in (row.start, row.middle, row.end, row.peak))
        table.add_row(row.stage, f"{row.backlog:,}", *sizes, f"{row.done:,}")
    Console().print(table)


def main(
    backlogs: Annotated[list[int] | None, typer.Option("--backlog", help="Records.")] = None,
    stages: Annotated[list[str] | None, typer.Option("--stage", help="Stages to run.")] = None,
    seconds: Annotated[float, typer.Option(min=2, help="Of work for each.")] = 20,
    bootstrap: Annotated[str | None, typer.Option(help="Brokers; else the embedded one.")] = None,
    kafka: Annotated[bool, typer.Option(help="On three brokers of Apache Kafka.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Memory of every stage's worker, with a short backlog and with a long one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [stage for stage in INPUTS if not stages or stage in stages]
    rows = []
    with brokers.running(bootstrap, kafka=kafka) as on, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys, picture = put_pictures(on.settings, folder / "pictures")
        with pictures.serving(picture) as web:
            for backlog in backlogs or [1_000, 1_000_000]:
                run = on.kafka(f"backlog{int(time.time())}.", PARTITIONS)
                fetch = on.settings.fetch.model_copy(update={"allow_hosts": [web]})
                settings = on.settings.model_copy(update={"kafka": run, "fetch": fetch})
                brokers.create(run, topics.all_topics(wire.EXPERTS))
                fill(settings, wanted, backlog, keys, web)
                for stage in wanted:
                    rows.append(measure(settings, stage, backlog, seconds, folder))
                    print(rows[-1], file=sys.stderr)
    rows.sort(key=lambda row: (list(INPUTS).index(row.stage), row.backlog))
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        show(rows, f"{seconds:.0f} s of work, {on.name}")


if __name__ == "__main__":
    typer.run(main)
