"""One worker, two, four, eight: python tests/benchmarks/scaling.py --help

The stage waits for a device (50 ms for a batch of eight, and no CPU), so that eight workers fit on
two cores, as workers with a GPU each would. Workers are added while the stream runs. Shown for each
size: throughput beside linear; how long commits stood still around the change; and the records
that were processed a second time because of it.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import brokers
import commits
import contender
import passthrough
import typer
from confluent_kafka import Message
from rich.console import Console
from rich.table import Table

from densefusion.settings import Kafka

PARTITIONS = 16
_RATE = 160  # records a second that one device can do: its batch over its time
_SETTLE = 4.0
_JOIN_SECONDS = 90.0


@dataclass(slots=True)
class Row:
    """The stream at one number of workers.

    Attributes:
        rate: records a second, committed, once all work.
        linear: that rate over so many times the first row's.
        pause: longest time without any commit, from the start of the new workers until all work.
        partition_pause: the same, of the partition that stood still longest.
        steady: longest time without a commit of one partition afterwards: what is ordinary.
        again: records processed that had been processed before.
    """

    protocol: str
    workers: int
    rate: float = 0.0
    linear: float = 0.0
    pause: float = 0.0
    partition_pause: float = 0.0
    steady: float = 0.0
    again: int = 0


@dataclass(slots=True)
class Outcome:
    """All sizes, and what came of it."""

    rows: list[Row]
    calls: int = 0
    distinct: int = 0
    outputs: int = 0
    twice: int = 0


class Fleet:
    """Worker processes, of which there may be more or fewer."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self._kafka = kafka.model_dump(mode="json")
        self._folder = folder
        self._workers: list[tuple[contender.Contender, Path]] = []
        self.calls: list[Path] = []

    def resize(self, size: int) -> None:
        """Start or stop workers until there are `size`, and wait until each has work."""
        while len(self._workers) > size:
            self._workers.pop()[0].stop()
        while len(self._workers) < size:
            number = len(self.calls)
            calls = self._folder / f"calls-{number}"
            arguments = {"kafka": self._kafka, "instance": str(number), "calls": str(calls)}
            words = contender.command("worker", "scaling_worker", arguments)
            started = contender.start("worker", words, self._folder / f"worker-{number}.log")
            self._workers.append((started, calls))
            self.calls.append(calls)
        for _ in contender.deadline(_JOIN_SECONDS):
            self.check()
            if all(calls.exists() and calls.stat().st_size for _, calls in self._workers):
                return
            time.sleep(0.1)
        raise TimeoutError(f"not all of {size} workers have work")

    def check(self) -> None:
        for worker, _ in self._workers:
            worker.check()

    def stop(self) -> None:
        while self._workers:
            self._workers.pop()[0].stop()


def measure(kafka: Kafka, sizes: Sequence[int], seconds: float, folder: Path) -> Outcome:
    """Run the stream at each of `sizes` in turn, for `seconds` each."""
    brokers.create(kafka, ["in", "out"])
    passthrough.fill(kafka, _records(sizes, seconds))
    assert kafka.bootstrap is not None
    group = kafka.prefix + "scaling"
    committed = brokers.Committed(kafka.bootstrap, group, kafka.prefix + "in", PARTITIONS)
    outcome, fleet, marks = Outcome([]), Fleet(kafka, folder), []
    with ExitStack() as stack:
        stack.callback(committed.close)
        stack.callback(fleet.stop)
        watch = stack.enter_context(commits.Watch(committed))
        for size in sizes:
            row = Row(kafka.group_protocol, size)
            changed = time.time()
            fleet.resize(size)
            time.sleep(_SETTLE)
            settled = time.time()
            time.sleep(seconds)
            fleet.check()
            row.rate = watch.rate(settled, time.time())
            if outcome.rows:  # a stream that has not begun does not pause
                row.pause, row.partition_pause = watch.longest_pause(changed, settled)
            row.steady = watch.longest_pause(settled, time.time())[1]
            outcome.rows.append(row)
            row.linear = row.rate * sizes[0] / (outcome.rows[0].rate * size)
            marks.append(changed)
            print(row, file=sys.stderr)
        fleet.stop()
        total = committed.total()
    _count_calls(outcome, fleet.calls, marks)
    outcome.outputs, outcome.twice = _outputs(kafka, total)
    return outcome


def _records(sizes: Sequence[int], seconds: float) -> int:
    """Enough that no worker ever waits for more."""
    return int(1.5 * _RATE * sum(size * (seconds + _SETTLE + 15) for size in sizes))


def _count_calls(outcome: Outcome, files: Sequence[Path], marks: Sequence[float]) -> None:
    """Calls of `process`, and to which change those belong that had happened before."""
    calls = sorted(line.split() for file in files for line in file.read_text("ascii").splitlines())
    seen: set[tuple[str, str]] = set()
    for at, *place in calls:
        key = (place[0], place[1])
        if key in seen:
            change = sum(float(at) >= mark for mark in marks)
            outcome.rows[max(0, change - 1)].again += 1
        seen.add(key)
    outcome.calls, outcome.distinct = len(calls), len(seen)


def _outputs(kafka: Kafka, expected: int) -> tuple[int, int]:
    """Outputs that can be read, and those of them that are repetitions."""
    seen: set[int] = set()
    count = 0

    def see(messages: Sequence[Message]) -> bool:
        nonlocal count
        count += len(messages)
        seen.update(brokers.key_numbers(messages))
        return count >= expected

    brokers.read(kafka, kafka.prefix + "out", PARTITIONS, see)
    return count, count - len(seen)


def show(outcomes: Sequence[Outcome], title: str) -> None:
    console = Console()
    table = Table(
        "protocol", "workers", "records/s", "of linear", "pause s", "of a partition",
        "ordinary s", "done again", title=title,
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    for outcome in outcomes:
        for row in outcome.rows:
            table.add_row(
                row.protocol, str(row.workers), f"{row.rate:.0f}", f"{row.linear:.2f}",
                f"{row.pause:.1f}", f"{row.partition_pause:.1f}", f"{row.steady:.1f}",
                str(row.again),
            )  # fmt: skip
    console.print(table)
    for outcome in outcomes:
        console.print(
            f"{outcome.rows[0].protocol}: {outcome.calls} calls of process for {outcome.distinct} "
            f"records; {outcome.outputs} outputs, {outcome.twice} of them twice"
        )


def main(
    sizes: Annotated[list[int] | None, typer.Option("--size", help="Workers, in turn.")] = None,
    seconds: Annotated[float, typer.Option(min=5, help="Of each size, once settled.")] = 15,
    protocols: Annotated[
        list[str] | None, typer.Option("--protocol", help="Group protocol.")
    ] = None,
    bootstrap: Annotated[str | None, typer.Option(help="Brokers; else the embedded one.")] = None,
    kafka: Annotated[bool, typer.Option(help="On three brokers of Apache Kafka.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Throughput as workers are added, and what each change costs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # The embedded broker has one protocol.
    chosen = protocols or (["classic", "consumer"] if kafka else ["classic"])
    outcomes = []
    with brokers.running(bootstrap, kafka=kafka) as on:
        for protocol in chosen:
            base = on.kafka(f"scaling{int(time.time())}.", PARTITIONS)
            run = base.model_copy(update={"group_protocol": protocol})
            with tempfile.TemporaryDirectory() as name:
                outcomes.append(measure(run, sizes or [1, 2, 4, 8], seconds, Path(name)))
    if as_json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    else:
        show(outcomes, f"a device of 50 ms for a batch of 8, {PARTITIONS} partitions, {on.name}")


if __name__ == "__main__":
    typer.run(main)
