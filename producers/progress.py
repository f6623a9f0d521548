"""How far publishing is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from producers.sources import Source

_EVERY_SECONDS = 5.0


class Reporter(Protocol):
    """What `publish` tells how far it is."""

    def update(self, count: int, bad: int) -> None: ...


class _Bar:
    """A bar over rows, or over bytes where only those are known; no bar where neither is."""

    def __init__(self, progress: Progress, source: Source) -> None:
        self._progress = progress
        self._source = source
        self._begin = time.monotonic()
        total = source.total if source.total is not None else source.size
        self._task: TaskID = progress.add_task("publishing", total=total, said="")

    def update(self, count: int, bad: int) -> None:
        by_rows = self._source.total is not None or self._source.size is None
        done = count if by_rows else self._source.meter.done
        said = _said(count, bad, time.monotonic() - self._begin, self._source.total)
        self._progress.update(self._task, completed=done, said=said)


class _Lines:
    def __init__(self, console: Console, source: Source) -> None:
        self._console = console
        self._total = source.total
        self._begin = self._last = time.monotonic()
        self._state = (0, 0)

    def update(self, count: int, bad: int) -> None:
        self._state = (count, bad)
        if time.monotonic() - self._last >= _EVERY_SECONDS:
            self.line()

    def line(self) -> None:
        self._last = time.monotonic()
        said = _said(*self._state, self._last - self._begin, self._total)
        self._console.print(said, highlight=False, markup=False)


@contextmanager
def shown(source: Source, console: Console | None = None) -> Iterator[Reporter]:
    """Shows the progress of `source` on standard error while the block runs."""
    console = console or Console(file=sys.stderr)
    if not console.is_terminal:
        lines = _Lines(console, source)
        try:
            yield lines
        finally:
            lines.line()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[said]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, source)


def _said(count: int, bad: int, seconds: float, total: int | None) -> str:
    of = f" of {total:,}" if total is not None else ""
    broken = f", {bad:,} malformed" if bad else ""
    return f"{count:,} URLs{of}, {count / max(seconds, 1e-3):,.0f}/s{broken}"
