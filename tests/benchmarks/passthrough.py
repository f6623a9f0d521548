"""A stage that does nothing, beside its peers: python tests/benchmarks/passthrough.py --help

Each contender copies the same 200-byte records from one topic to another, on the same broker, in a
process of its own. What is compared is what is committed: the clock starts at a commit some way in
(joined, connected, warm) and stops at the last.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import brokers
import contender
import layers
import typer
from confluent_kafka import Message
from rich.console import Console
from rich.table import Table

from densefusion.settings import Kafka
from schemas import Codec

PARTITIONS = 4
_BYTES = 200
_WARM = 0.1  # share of the records that is done before the clock starts
_SECONDS = 300.0  # for one contender
CONTENDERS = {
    "bare loop": "passthrough_bare",
    "worker": "passthrough_worker",
    "quixstreams": "passthrough_quixstreams",
    "sentry-arroyo": "passthrough_arroyo",
}


@dataclass(slots=True)
class Row:
    """What one contender did.

    Attributes:
        rate: records a second, committed.
        cpu: microseconds of CPU a record, all its threads.
        peak: largest resident memory, MB.
        outputs: records on its output topic, read to the end.
        twice: of them, those that were there already.
    """

    contender: str
    rate: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    outputs: int = 0
    twice: int = 0
    note: str = ""


def fill(kafka: Kafka, records: int) -> None:
    """Valid `ImageUrl` records of 200 bytes; the key is the record's number."""
    codec, filler = Codec(), brokers.Filler(kafka)
    value = {"url_id": "", "url": "", "source": "benchmark", "published_at": datetime.now(UTC)}
    bare = len(codec.encode("ImageUrl", value, "in"))
    for number in range(records):
        value["url_id"] = f"{number:064x}"
        value["url"] = f"https://images.example.org/{number:0{_BYTES - bare - 66 - 27}d}"
        filler.put(kafka.prefix + "in", b"%d" % number, codec.encode("ImageUrl", value, "in"))
    filler.finish()


def measure(kafka: Kafka, name: str, records: int, folder: Path) -> Row:
    """Run one contender over all records."""
    row = Row(name)
    arguments = {"kafka": kafka.model_dump(mode="json")}
    assert kafka.bootstrap is not None
    done = brokers.Committed(
        kafka.bootstrap, kafka.prefix + "pass", kafka.prefix + "in", PARTITIONS
    )
    log = folder / f"{CONTENDERS[name]}.log"
    try:
        words = contender.command(name, CONTENDERS[name], arguments)
        with contender.started(name, words, log) as process:
            first = None
            for _ in contender.deadline(_SECONDS):
                process.check()
                now, total, cpu = time.monotonic(), done.total(), process.cpu()
                if first is None and total >= _WARM * records:
                    first = (now, total, cpu)
                if total >= records:
                    break
                time.sleep(0.02)
            else:
                raise process.failed(f"committed {done.total()} in {_SECONDS:.0f} s")
            assert first is not None
            row.peak = process.peak()
        count = total - first[1]
        row.rate, row.cpu = count / (now - first[0]), (cpu - first[2]) / count * 1e6
        row.outputs, row.twice = outputs(kafka, records)
    except LookupError as error:
        row.note = str(error)
    except (contender.ContenderFailed, TimeoutError) as error:
        row.note = str(error)
    finally:
        done.close()
    return row


def outputs(kafka: Kafka, records: int) -> tuple[int, int]:
    """Outputs that can be read, and those of them that are repetitions."""
    seen = bytearray(records)
    count = 0

    def see(messages: Sequence[Message]) -> bool:
        nonlocal count
        count += len(messages)
        for number in brokers.key_numbers(messages):
            seen[number] = 1
        return count >= records

    brokers.read(kafka, kafka.prefix + "out", PARTITIONS, see)
    return count, count - sum(seen)


def show(rows: Sequence[Row], costs: Sequence[layers.Layer], where: str, records: int) -> None:
    console = Console()
    table = Table(
        "contender", "records/s", "of bare", "CPU µs/record", "peak MB", "outputs", "twice",
        title=f"{records} records of {_BYTES} bytes, {where}",
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    bare = next((row.rate for row in rows if row.contender == "bare loop"), 0.0)
    for row in rows:
        if row.note:
            table.add_row(row.contender, row.note.partition("\n")[0])
            continue
        ratio = f"{row.rate / bare:.2f}" if bare else ""
        table.add_row(
            row.contender, f"{row.rate:,.0f}", ratio, f"{row.cpu:.1f}", f"{row.peak:.0f}",
            str(row.outputs), str(row.twice),
        )  # fmt: skip
    console.print(table)
    if costs:
        console.print(layers.table(costs))


def main(
    records: Annotated[int, typer.Option(min=20_000, help="Records to copy.")] = 300_000,
    bootstrap: Annotated[str | None, typer.Option(help="Brokers; else the embedded one.")] = None,
    kafka: Annotated[bool, typer.Option(help="On three brokers of Apache Kafka.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Contenders to run.")] = None,
    by_layer: Annotated[bool, typer.Option(help="Time the worker's layers one by one.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Records a second through a stage that does nothing, beside its peers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, costs = [], []
    with brokers.running(bootstrap, kafka=kafka) as on, tempfile.TemporaryDirectory() as name:
        for number, each in enumerate(only or CONTENDERS):
            # Topics of its own, so that each finds the broker's log as short as the others did.
            run = on.kafka(f"pass{int(time.time())}-{number}.", PARTITIONS)
            brokers.create(run, ["in", "out"])
            fill(run, records)
            rows.append(measure(run, each, records, Path(name)))
            print(rows[-1], file=sys.stderr)
        if by_layer:
            run = on.kafka(f"layers{int(time.time())}.", PARTITIONS)
            brokers.create(run, ["in", "out"])
            fill(run, records // 3)
            costs = layers.costs(run, records // 3)
    if as_json:
        layered = [asdict(each) for each in costs]
        print(json.dumps({"rows": [asdict(row) for row in rows], "layers": layered}, indent=1))
    else:
        show(rows, costs, on.name, records)


if __name__ == "__main__":
    typer.run(main)
