"""``densefusion dataset show|export``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, Json, app, load

if TYPE_CHECKING:
    from densefusion.settings import Settings

group = typer.Typer(help="Look at the dataset, or take it out of the bucket.", no_args_is_help=True)
app.add_typer(group, name="dataset")


@contextmanager
def _reached(settings: Settings) -> Iterator[Settings]:
    """The store that is set, the one that runs, or the embedded one, started for the occasion."""
    from densefusion.cli.connect import connected
    from densefusion.errors import SettingsError
    from densefusion.stack import EmbeddedStack

    try:
        yield connected(settings)
        return
    except SettingsError:
        if settings.store.endpoint is not None or not settings.data_dir.exists():
            raise
    with EmbeddedStack(settings.data_dir, bucket=settings.store.bucket) as stack:
        yield stack.apply(settings)


@group.command()
def show(
    rows: Annotated[int, typer.Option("--rows", "-n", help="Captions to print.")] = 5,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """How many captions and rejects there are, and the latest captions."""
    from consumers.dataset.rows import json_value
    from densefusion.dataset import shards
    from densefusion.store import ObjectStore

    with _reached(load(data_dir)) as settings:
        store = ObjectStore(settings.store)
        rejects = sum(table.num_rows for table in shards(store, "rejects"))
        captions = 0
        last: list[dict[str, object]] = []
        for table in shards(store, "captions"):
            captions += table.num_rows
            last = [*last, *table.to_pylist()]
            last.sort(key=lambda row: str(row["captioned_at"]))
            del last[: max(0, len(last) - rows)]
        store.close()
        if as_json:
            found = {"captions": captions, "rejects": rejects, "rows": last}
            print(json.dumps(found, default=json_value))
            return
        for row in last:
            print(f"{row['url']}\n  {row['width']}x{row['height']}, {row['engine']}, "
                  f"missing: {', '.join(row['missing_experts']) or 'none'}\n"  # type: ignore[arg-type]
                  f"  {row['caption']}\n")  # fmt: skip
        print(f"{captions:,} captions, {rejects:,} rejects in s3://{settings.store.bucket}/dataset")


@group.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder for Parquet and JSON lines.")],
    data_dir: DataDir = None,
) -> None:
    """Write the dataset as captions.parquet, captions.jsonl, rejects.parquet, rejects.jsonl."""
    from densefusion.dataset import export as write

    with _reached(load(data_dir)) as settings:
        for rows, count in write(settings.store, out).items():
            print(f"{count:,} {rows} in {out / rows}.parquet and .jsonl")
