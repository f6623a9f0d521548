"""What a person sees of a run: live progress, then a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import rich.live
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from densefusion import topics

if TYPE_CHECKING:
    from densefusion.cli.run import Result
    from densefusion.ledger import Counts

_LINE_SECONDS = 5.0


class Live:
    """A bar on a terminal; elsewhere a line every few seconds."""

    def __init__(self, urls: int, roster: Iterable[str]) -> None:
        self._urls = urls
        self._roster = list(roster)
        self._console = Console(stderr=True)
        self._live: rich.live.Live | None = None
        self._said = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("captioning"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
            )
            self._task = self._bar.add_task("", total=urls)
            self._stages = Text(style="dim")  # a line below: beside the bar 80 columns are too few
            self._live = rich.live.Live(Group(self._bar, self._stages), console=self._console)

    def __enter__(self) -> Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, counts: Counts) -> None:
        stages = " ".join(f"{name} {counts.seen[topics.priors(name)]}" for name in self._roster)
        stages = f"fetched {counts.seen[topics.FETCHED]} {stages} rejects {counts.rejects}"
        if self._live is not None:
            self._bar.update(self._task, completed=counts.ended)
            self._stages.plain = stages
        elif time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            print(f"{counts.ended}/{self._urls} ended: captions {counts.captions}, {stages}",
                  file=sys.stderr, flush=True)  # fmt: skip


def print_result(result: Result, *, as_json: bool) -> None:
    """The table on standard output, or one JSON object."""
    if as_json:
        from densefusion.cli.run import as_object

        print(as_object(result))
        return
    console = Console()
    counts = result.counts
    table = Table("topic", "records", "a second", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {topics.URLS: result.urls, **_in_order(counts.seen)}
    for name, number in rows.items():
        table.add_row(name, f"{number:,}", f"{number / result.seconds:,.1f}")
    console.print(table)
    if counts.reasons:
        reasons = Table("rejects by reason", "", box=None, pad_edge=False)
        for reason, number in counts.reasons.most_common():
            reasons.add_row(reason, f"{number:,}")
        console.print()
        console.print(reasons)
    console.print()
    lost = result.urls - counts.captions - counts.rejects
    console.print(
        f"{result.urls:,} URLs: {counts.captions:,} captions, {counts.rejects:,} rejects, "
        f"{counts.dead_letters:,} dead letters in {result.seconds:.1f} s", highlight=False
    )  # fmt: skip
    if lost > 0:
        console.print(f"{lost:,} URLs have not ended in a caption or a reject", style="bold red")
    console.print(f"dataset: {result.dataset}", soft_wrap=True, highlight=False)
    if result.out is not None:
        console.print(f"files:   {result.out.resolve()}", soft_wrap=True, highlight=False)


def _in_order(seen: dict[str, int]) -> dict[str, int]:
    first, last = [topics.FETCHED, topics.IMAGES], [topics.CAPTIONS, topics.REJECTS]
    middle = sorted(set(seen) - {*first, *last, topics.DEAD_LETTERS})
    return {name: seen[name] for name in [*first, *middle, *last] if name in seen}
