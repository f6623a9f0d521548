"""Shards: every offset in one place, once, whoever writes it and however often."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.dataset.shards import Shards, shard_key
from densefusion.errors import StoreError
from densefusion.store import Conflict
from tests.consumers.in_memory_store import InMemoryStore

SCHEMA = pa.schema([("offset", pa.int64()), ("text", pa.string())])
SIZE = 10


def shards(store: InMemoryStore, schema: pa.Schema = SCHEMA) -> Shards:
    return Shards(store, "dataset/x", "log", schema, size=SIZE)  # type: ignore[arg-type]


def row(offset: int, text: str = "") -> dict[str, Any]:
    return {"offset": offset, "text": text or f"row {offset}"}


def key(offset: int, partition: int = 0) -> str:
    return shard_key("dataset/x", "log", partition, offset, SIZE)


async def write(to: Shards, *rows: dict[str, Any], partition: int = 0) -> None:
    writing = asyncio.gather(*(to.write(partition, each["offset"], each) for each in rows))
    await asyncio.sleep(0)
    await to.flush()
    await writing


def stored(store: InMemoryStore, at: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(store.objects[at or key(0)])).to_pylist()
    return rows


def test_key_names_the_boundaries() -> None:
    assert shard_key("dataset/captions", "abc", 3, 1999, 1000) == (
        "dataset/captions/abc/00003/000000001000-000000001999.parquet"
    )


@given(size=st.integers(1, 10_000), partition=st.integers(0, 99_999), offset=st.integers(0, 10**11))
def test_every_offset_lies_in_the_one_shard_that_names_it(
    size: int, partition: int, offset: int
) -> None:
    found = shard_key("p", "log", partition, offset, size)
    named = re.fullmatch(r"p/log/(\d{5})/(\d{12})-(\d{12})\.parquet", found)
    assert named is not None and int(named[1]) == partition
    first, last = int(named[2]), int(named[3])
    assert first <= offset <= last and last - first + 1 == size and first % size == 0
    for inside in (first, last):
        assert shard_key("p", "log", partition, inside, size) == found
    assert shard_key("p", "log", partition, last + 1, size) > found, "keys sort like offsets"


def test_a_topic_made_anew_and_other_partitions_have_shards_of_their_own() -> None:
    places = {shard_key("p", log, n, 5, 10) for log in ("a", "b") for n in (0, 1)}
    assert len(places) == 4


# -- writing -------------------------------------------------------------------------------------


async def test_write_returns_only_when_the_row_is_stored() -> None:
    store = InMemoryStore()
    made = shards(store)
    writing = asyncio.create_task(made.write(0, 3, row(3)))
    await asyncio.sleep(0.01)
    assert not writing.done() and store.objects == {}
    await made.flush()
    await writing
    assert stored(store) == [row(3)]


async def test_rows_of_one_flush_are_one_write_a_shard() -> None:
    store = InMemoryStore()
    await write(shards(store), *(row(offset) for offset in (12, 3, 7, 1, 19)))
    assert sorted(store.writes) == [key(0), key(10)]
    assert stored(store) == [row(1), row(3), row(7)]
    assert stored(store, key(10)) == [row(12), row(19)]


async def test_shard_grows_in_order() -> None:
    store = InMemoryStore()
    made = shards(store)
    for offset in (5, 2, 9, 0):
        await write(made, row(offset))
    assert stored(store) == [row(0), row(2), row(5), row(9)]


async def test_row_written_again_replaces_itself() -> None:
    store = InMemoryStore()
    made = shards(store)
    await write(made, row(1), row(2, "old"))
    await write(made, row(2, "new"))
    assert stored(store) == [row(1), row(2, "new")]


async def test_writing_again_writes_the_same_object() -> None:
    """After a crash another worker writes the rows again, in other company."""
    store, again = InMemoryStore(), InMemoryStore()
    await write(shards(store), *(row(offset) for offset in range(8)))
    again.objects = dict(store.objects)
    await write(shards(again), row(3), row(4))
    await write(shards(again), row(7))
    assert again.objects == store.objects


async def test_nothing_new_writes_nothing() -> None:
    store = InMemoryStore()
    made = shards(store)
    await made.flush()
    await write(made, row(1))
    await made.flush()
    assert len(store.writes) == 1


@given(data=st.data(), offsets=st.sets(st.integers(0, 39), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_any_order_of_writes_by_any_workers_stores_every_row_once(
    data: st.DataObject, offsets: set[int]
) -> None:
    """Two workers that both believe the partition theirs, rows that come twice, and restarts."""
    order = data.draw(
        st.permutations([*offsets, *data.draw(st.lists(st.sampled_from([*offsets])))])
    )
    store = InMemoryStore()

    async def run() -> None:
        workers = [shards(store), shards(store)]
        for offset in order:
            which = data.draw(st.integers(0, 1))
            if data.draw(st.integers(0, 9)) == 0:
                workers[which] = shards(store)
            await write(workers[which], row(offset))

    asyncio.run(run())
    found = [each for at in sorted(store.objects) for each in stored(store, at)]
    assert found == [row(offset) for offset in sorted(offsets)]


# -- conflicts -----------------------------------------------------------------------------------


async def test_conflict_merges_and_loses_nothing() -> None:
    store = InMemoryStore()
    one, other = shards(store), shards(store)
    await write(one, row(1))
    await write(other, row(2))  # read it first: no conflict
    await write(one, row(3))  # does not know of the other's
    assert stored(store) == [row(1), row(2), row(3)]


async def test_two_workers_at_the_same_time() -> None:
    store = InMemoryStore()
    one, other = shards(store), shards(store)
    await asyncio.gather(write(one, row(1), row(5)), write(other, row(5), row(2)))
    assert stored(store) == [row(1), row(2), row(5)]


async def test_write_whose_answer_was_lost_meets_itself() -> None:
    store = InMemoryStore()

    class Lost(InMemoryStore):
        async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
            first = not self.writes
            found = await super().put_if(key, data, etag)
            if first:
                raise Conflict(key)  # the store's retry met its own write
            return found

    store = Lost()
    await write(shards(store), row(1), row(2))
    assert stored(store) == [row(1), row(2)]


async def test_endless_conflict_is_an_error_of_the_rows() -> None:
    store = InMemoryStore()
    counter = iter(range(1000))
    store.objects[key(0)] = _parquet([row(9)])

    def interfere(at: str) -> None:
        store.objects[at] = _parquet([row(9, f"again {next(counter)}")])

    store.before_put_if = interfere
    with pytest.raises(Conflict, match="somebody else"):
        await write(shards(store), row(1))
    assert next(counter) <= 30, "bounded"


async def test_store_that_is_down_fails_every_waiting_row() -> None:
    store = InMemoryStore()
    store.failure = StoreError("down")
    made = shards(store)
    writing = [asyncio.create_task(made.write(0, offset, row(offset))) for offset in (1, 2, 11)]
    await asyncio.sleep(0)
    await made.flush()
    results = await asyncio.gather(*writing, return_exceptions=True)
    assert all(isinstance(each, StoreError) for each in results)


async def test_shard_that_failed_can_be_written_later() -> None:
    store = InMemoryStore()
    made = shards(store)
    store.failure = StoreError("down")
    with pytest.raises(StoreError):
        await write(made, row(1))
    store.failure = None
    await write(made, row(1), row(2))
    assert stored(store) == [row(1), row(2)]


async def test_row_that_fits_no_column_fails_alone() -> None:
    """The rows of its flush are written in spite of it."""
    store = InMemoryStore()
    made = shards(store)
    writing = [
        asyncio.create_task(made.write(0, 1, row(1))),
        asyncio.create_task(made.write(0, 2, {"offset": 2, "text": 5})),
        asyncio.create_task(made.write(0, 3, row(3))),
    ]
    await asyncio.sleep(0)
    await made.flush()
    results = await asyncio.gather(*writing, return_exceptions=True)
    assert results[0] is None and results[2] is None and isinstance(results[1], Exception)
    assert stored(store) == [row(1), row(3)]


# -- change --------------------------------------------------------------------------------------


async def test_columns_of_today_are_put_on_rows_of_before() -> None:
    store = InMemoryStore()
    old = pa.schema(
        [("offset", pa.int64()), ("priors", pa.struct([("ocr", pa.string()), ("old", pa.int8())]))]
    )
    new = pa.schema(
        [
            ("offset", pa.int64()),
            ("priors", pa.struct([("new", pa.float32()), ("ocr", pa.string())])),
            ("text", pa.string()),
        ]
    )
    await write(shards(store, old), {"offset": 1, "priors": {"ocr": "EXIT", "old": 3}})
    await write(
        shards(store, new), {"offset": 2, "priors": {"new": 0.5, "ocr": None}, "text": "two"}
    )
    assert stored(store) == [
        {"offset": 1, "priors": {"new": None, "ocr": "EXIT"}, "text": None},
        {"offset": 2, "priors": {"new": 0.5, "ocr": None}, "text": "two"},
    ]
    assert pq.read_schema(io.BytesIO(store.objects[key(0)])).equals(new)


async def test_forgotten_rows_are_cancelled_and_read_back() -> None:
    store = InMemoryStore()
    made = shards(store)
    await write(made, row(1))
    waiting = asyncio.create_task(made.write(0, 2, row(2)))
    kept = asyncio.create_task(made.write(1, 2, row(2)))
    await asyncio.sleep(0)
    made.forget(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    store.objects[key(0)] = _parquet([row(1), row(5)])  # the other worker's
    await made.flush()
    await kept
    await write(made, row(3))
    assert stored(store) == [row(1), row(3), row(5)]
    assert stored(store, key(0, partition=1)) == [row(2)]


async def test_memory_is_bounded() -> None:
    store = InMemoryStore()
    made = shards(store)
    await write(made, *(row(offset) for offset in range(0, 200 * SIZE, SIZE)))
    assert len(store.objects) == 200
    assert len(made._shards) <= 64
    await write(made, row(1))  # of a shard that was let go
    assert stored(store) == [row(0), row(1)]


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out)
    return out.getvalue()
