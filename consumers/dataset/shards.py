"""Shards: Parquet objects with deterministic names, rewritten as they grow.

A shard holds the rows of one partition whose offsets lie between two fixed boundaries, and is named
by them. So writing a row again, after a crash or by another worker, meets the same shard and the
same place in it: rows are keyed by offset, and a shard never holds one twice.

The object in the bucket is the state. A write is conditional on the object being the one that was
read (its ETag): a worker that was thought dead cannot put an older version over a newer one.
"""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from consumers.dataset.arrow import table
from densefusion.errors import StoreError
from densefusion.store import Conflict, Missing, ObjectStore

_KEPT = 64  # clean shards in memory; one that is touched again is read back
_TRIES = 20


def shard_key(prefix: str, log: str, partition: int, offset: int, size: int) -> str:
    """Where the row of an offset lies: ``<prefix>/<log>/<partition>/<first>-<last>.parquet``.

    Args:
        log: id of the topic that the offsets belong to; a topic made anew counts from zero again.
        size: offsets in a shard.
    """
    first = offset // size * size
    return f"{prefix}/{log}/{partition:05d}/{first:012d}-{first + size - 1:012d}.parquet"


@dataclass(slots=True)
class _Shard:
    partition: int
    etag: str | None = None
    stored: pa.Table | None = None
    fresh: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    waiting: dict[int, list[asyncio.Future[None]]] = field(default_factory=dict)
    loaded: bool = False


class Shards:
    """The shards of one kind of row.

    Args:
        prefix: of the objects' keys.
        schema: the columns; ``offset`` must be one.
        size: offsets in a shard.
    """

    def __init__(
        self, store: ObjectStore, prefix: str, log: str, schema: pa.Schema, *, size: int
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._log = log
        self._schema = schema
        self._size = size
        self._shards: OrderedDict[str, _Shard] = OrderedDict()

    async def write(self, partition: int, offset: int, row: Mapping[str, Any]) -> None:
        """Returns once the row is in the bucket.

        Raises:
            StoreError: the object store is down.
            pyarrow.ArrowException, Exception: the row does not fit the columns.
        """
        key = shard_key(self._prefix, self._log, partition, offset, self._size)
        shard = self._shards.setdefault(key, _Shard(partition))
        self._shards.move_to_end(key)
        held = shard.fresh.get(offset)
        if held is None or _version(row) >= _version(held):
            shard.fresh[offset] = row
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shard.waiting.setdefault(offset, []).append(stored)
        await stored

    async def flush(self) -> None:
        """Write every shard that has new rows."""
        dirty = [(key, shard) for key, shard in self._shards.items() if shard.fresh]
        await asyncio.gather(*(self._flush(key, shard) for key, shard in dirty))
        clean = [key for key, shard in self._shards.items() if not shard.fresh]
        for key in clean[: max(0, len(clean) - _KEPT)]:
            del self._shards[key]

    def forget(self, partition: int) -> None:
        """Another worker writes this partition's shards now."""
        for key in [key for key, shard in self._shards.items() if shard.partition == partition]:
            for waiting in self._shards.pop(key).waiting.values():
                for future in waiting:
                    future.cancel()

    async def _flush(self, key: str, shard: _Shard) -> None:
        fresh, shard.fresh = shard.fresh, {}
        waiting, shard.waiting = shard.waiting, {}
        failed: Mapping[int, BaseException] = {}
        try:
            rows, failed = await asyncio.to_thread(_fitting, fresh, self._schema)
            if rows.num_rows:
                await self._write(key, shard, rows)
        except BaseException as error:
            failed = dict.fromkeys(fresh, error)
            if not isinstance(error, Exception):
                raise
        finally:
            _settle(waiting, failed)

    async def _write(self, key: str, shard: _Shard, rows: pa.Table) -> None:
        for _ in range(_TRIES):
            if not shard.loaded:
                shard.stored, shard.etag = await self._read(key)
                shard.loaded = True
            merged, data = await asyncio.to_thread(self._merge, shard.stored, rows)
            try:
                shard.etag = await self._store.put_if(key, data, shard.etag)
            except Conflict:
                # Somebody else wrote it, or our own answer was lost: build on what is there.
                shard.loaded = False
                continue
            shard.stored = merged
            return
        raise Conflict(f"{key}: written by somebody else {_TRIES} times in a row")

    async def _read(self, key: str) -> tuple[pa.Table | None, str | None]:
        try:
            data, etag = await self._store.get_tagged(key)
        except Missing:
            return None, None
        try:
            stored = await asyncio.to_thread(pq.read_table, io.BytesIO(data))
        except pa.ArrowException as error:  # not the fault of the rows that are to be added
            raise StoreError(f"shard {key} ({len(data)} bytes) cannot be read: {error}") from error
        return self._fitted(stored), etag

    def _fitted(self, stored: pa.Table) -> pa.Table:
        """Rows of before the roster changed, in today's columns; an expert that left keeps none."""
        if stored.schema.equals(self._schema):
            return stored
        return table(stored.to_pylist(), self._schema)

    def _merge(self, stored: pa.Table | None, rows: pa.Table) -> tuple[pa.Table, bytes]:
        if stored is not None:
            rows = _without_outdated(rows, stored)
            kept = pc.invert(pc.is_in(stored["offset"], value_set=rows["offset"].combine_chunks()))
            rows = pa.concat_tables([stored.filter(kept), rows])
        rows = rows.sort_by("offset").combine_chunks()
        out = io.BytesIO()
        pq.write_table(rows, out, compression="zstd")
        return rows, out.getvalue()


def _version(row: Mapping[str, Any]) -> int:
    return row.get("version") or 0


def _without_outdated(rows: pa.Table, stored: pa.Table) -> pa.Table:
    """The rows of which no higher version is stored: an older one that is read again, after a
    crash, does not replace it."""
    if "version" not in rows.column_names:
        return rows
    offsets, versions = stored["offset"].to_pylist(), stored["version"].to_pylist()
    newest = {at: version or 0 for at, version in zip(offsets, versions, strict=True)}
    offsets, versions = rows["offset"].to_pylist(), rows["version"].to_pylist()
    current = [
        (version or 0) >= newest.get(at, 0) for at, version in zip(offsets, versions, strict=True)
    ]
    return rows.filter(pa.array(current, pa.bool_()))


def _fitting(
    rows: Mapping[int, Mapping[str, Any]], schema: pa.Schema
) -> tuple[pa.Table, dict[int, BaseException]]:
    """The rows as a table, and what is wrong with those that do not fit its columns."""
    try:
        return table(rows.values(), schema), {}
    except Exception:  # Arrow does not say which row it was
        failed: dict[int, BaseException] = {}
        for offset, row in rows.items():
            try:
                table([row], schema)
            except Exception as error:
                failed[offset] = error
        good = [row for offset, row in rows.items() if offset not in failed]
        return table(good, schema), failed


def _settle(
    waiting: Mapping[int, list[asyncio.Future[None]]], failed: Mapping[int, BaseException]
) -> None:
    """Tell the writers of each row how it went."""
    for offset, futures in waiting.items():
        error = failed.get(offset)
        for future in futures:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
