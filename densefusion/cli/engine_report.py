"""What `densefusion engines` shows and reads: rows as a table or JSON, downloads, photographs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import numpy as np

_MOST_IMAGES = 64
_WIDE = 240


def finish(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print them; exit code 1 where one failed."""
    show(rows, as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(list(rows), default=str, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(key for row in rows for key in row if key != "error"))
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column == "model", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key, "")) for key in columns))
    # In a file or a pipe nothing is to be folded.
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
    for row in rows:
        if "error" in row:
            print(f"{row['model']}: {row['error']}", file=sys.stderr)


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.3f}"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key} {number}" for key, number in value.items())
    return str(value)


def photographs(folder: Path | None) -> list[np.ndarray]:
    """The pictures of a folder, as pixels. Raises `SettingsError` where there are none."""
    from densefusion.errors import SettingsError
    from engines.errors import ImageError
    from engines.images import decode

    folder = folder or Path("examples")
    found: list[np.ndarray] = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file() and len(found) < _MOST_IMAGES:
            try:
                found.append(decode(path.read_bytes()))
            except ImageError:
                continue
    if not found:
        raise SettingsError(f"no photographs in {folder}: name a folder with --images")
    return found


@contextmanager
def downloads() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file on a terminal; nothing where standard error is a file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def progress(name: str, done: int, total: int | None) -> None:
        if name not in tasks or (bars.tasks and done < bars.tasks[tasks[name]].completed):
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done, total=total)

    with bars:
        yield progress
