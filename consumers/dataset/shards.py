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
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
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
        """Returns once the row is in the bucket. Raises `StoreError`."""
        key = shard_key(self._prefix, self._log, partition, offset, self._size)
        shard = self._shards.setdefault(key, _Shard(partition))
        self._shards.move_to_end(key)
        shard.fresh[offset] = row
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shard.waiting.append(stored)
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
            for waiting in self._shards.pop(key).waiting:
                waiting.cancel()

    async def _flush(self, key: str, shard: _Shard) -> None:
        fresh, shard.fresh = shard.fresh, {}
        waiting, shard.waiting = shard.waiting, []
        try:
            await self._write(key, shard, fresh)
        except BaseException as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _write(self, key: str, shard: _Shard, fresh: dict[int, Mapping[str, Any]]) -> None:
        rows = await asyncio.to_thread(table, list(fresh.values()), self._schema)
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
        stored = await asyncio.to_thread(pq.read_table, io.BytesIO(data))
        return self._fitted(stored), etag

    def _fitted(self, stored: pa.Table) -> pa.Table:
        """Rows of before the roster changed, in today's columns; an expert that left keeps none."""
        if stored.schema.equals(self._schema):
            return stored
        return table(stored.to_pylist(), self._schema)

    def _merge(self, stored: pa.Table | None, rows: pa.Table) -> tuple[pa.Table, bytes]:
        if stored is not None:
            kept = pc.invert(pc.is_in(stored["offset"], value_set=rows["offset"].combine_chunks()))
            rows = pa.concat_tables([stored.filter(kept), rows]).sort_by("offset").combine_chunks()
        out = io.BytesIO()
        pq.write_table(rows, out, compression="zstd")
        return rows, out.getvalue()
