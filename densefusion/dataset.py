"""Reading the dataset back: the shards in the bucket, and files made of them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from densefusion.settings import Store
from densefusion.store import ObjectStore

Rows = Literal["captions", "rejects"]
KINDS: tuple[Rows, ...] = ("captions", "rejects")


def shards(store: ObjectStore, rows: Rows) -> Iterator[pa.Table]:
    """Every shard, in the order of the stream. Raises `StoreError`."""
    for key in store.keys(f"dataset/{rows}/"):
        if key.endswith(".parquet"):
            yield pq.read_table(io.BytesIO(store.read(key)))


def export(settings: Store, out: Path) -> dict[str, int]:
    """Write ``captions.parquet``, ``captions.jsonl``, ``rejects.parquet`` and ``rejects.jsonl``.

    A file is put in place when it is whole. Returns the rows of each kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    store = ObjectStore(settings)
    try:
        return {rows: _export(store, rows, out) for rows in KINDS}
    finally:
        store.close()


def _export(store: ObjectStore, rows: Rows, out: Path) -> int:
    schema = _schema(store, rows)
    parquet, lines = out / f"{rows}.parquet", out / f"{rows}.jsonl"
    parquet_part, lines_part = parquet.with_suffix(".part"), lines.with_suffix(".lines.part")
    count = 0
    with lines_part.open("w", encoding="utf-8") as text:
        writer = pq.ParquetWriter(parquet_part, schema, compression="zstd")
        with writer:
            for shard in shards(store, rows):
                records = shard.to_pylist()
                fitted = shard
                if not shard.schema.equals(schema):
                    fitted = pa.Table.from_pylist(records, schema=schema)
                writer.write_table(fitted)
                text.writelines(_line(record) for record in records)
                count += len(records)
    os.replace(parquet_part, parquet)
    os.replace(lines_part, lines)
    return count


def _schema(store: ObjectStore, rows: Rows) -> pa.Schema:
    """The columns of all shards together: experts come and go over the life of a dataset."""
    found = [table.schema for table in shards(store, rows)]
    if not found:
        return pa.schema([("url", pa.string())])
    return pa.unify_schemas(found, promote_options="permissive")


def _line(record: dict[str, Any]) -> str:
    from consumers.dataset.rows import json_line

    return json_line(record) + "\n"
