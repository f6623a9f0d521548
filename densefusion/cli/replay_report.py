"""What a person sees of a replay: a bar, then what became of what was selected."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from densefusion.replay.report import Outcome, Report

if TYPE_CHECKING:
    from densefusion.replay import Kind
    from densefusion.replay.reading import Progress as Told

_LINE_SECONDS = 5.0
_SHOWN = 20


@contextmanager
def shown(kind: Kind) -> Iterator[Told]:
    """A bar over the topic on a terminal; elsewhere a line every few seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        last = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _LINE_SECONDS:
                last = time.monotonic()
                print(f"read {done:,} of {total:,} {kind}", file=sys.stderr, flush=True)

        yield tell
        return
    columns = (
        TextColumn("reading {task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(str(kind), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_report(report: Report, kind: Kind, *, dry_run: bool, as_json: bool) -> None:
    """The table on standard output, or one JSON object."""
    if as_json:
        print(json.dumps({"kind": str(kind), "dry_run": dry_run} | report.as_object()))
        return
    console = Console()
    second = "reason" if kind == "rejects" else "topic"
    table = Table("stage", second, "outcome", "records", box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    for (stage, what, outcome), number in sorted(report.counts.items()):
        table.add_row(stage, what, _said(outcome, dry_run), f"{number:,}")
    if report.counts:
        console.print(table)
        console.print()
    _print_left(report, console)
    back = report.total(Outcome.PUT_BACK)
    console.print(
        f"{report.read:,} {kind} read: {back:,} {_said(Outcome.PUT_BACK, dry_run)}, "
        f"{report.total(Outcome.ALREADY):,} were already, "
        f"{report.total(Outcome.AT_CAP):,} are at the cap of attempts, "
        f"{report.total(Outcome.NO_WAY):,} have no way back",
        highlight=False,
        soft_wrap=True,
    )
    if report.moved:
        console.print(
            f"{report.moved:,} lie on another partition than before: partitions have been added",
            highlight=False,
        )
    if not report.complete:
        console.print("interrupted: run it again for the rest", style="bold red")


def _print_left(report: Report, console: Console) -> None:
    if not report.left:
        return
    table = Table("left", "what", "why", box=None, pad_edge=False)
    for found, outcome, why in report.left[:_SHOWN]:
        table.add_row(found.place, found.subject[:80], f"{outcome}: {why}")
    console.print(table)
    more = report.total(Outcome.AT_CAP) + report.total(Outcome.NO_WAY) - _SHOWN
    if more > 0:
        console.print(f"and {more:,} more", highlight=False)
    console.print()


def _said(outcome: Outcome, dry_run: bool) -> str:
    return "to be put back" if dry_run and outcome is Outcome.PUT_BACK else str(outcome)
