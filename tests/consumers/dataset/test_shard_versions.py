"""Shards: a caption made again replaces the one before, and is not replaced by it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from consumers.dataset.shards import Shards
from tests.consumers.dataset.test_shards import SIZE, row, shards, stored, write
from tests.consumers.in_memory_store import InMemoryStore

SCHEMA = pa.schema([("offset", pa.int64()), ("text", pa.string()), ("version", pa.int32())])


def versioned(store: InMemoryStore) -> Shards:
    return Shards(store, "dataset/x", "log", SCHEMA, size=SIZE)  # type: ignore[arg-type]


def made(offset: int, version: int | None, text: str = "") -> dict[str, Any]:
    return row(offset, text or f"version {version}") | {"version": version}


async def test_older_version_that_is_read_again_does_not_come_back() -> None:
    store = InMemoryStore()
    await write(versioned(store), made(1, 0))
    await write(versioned(store), made(1, 1))
    await write(versioned(store), made(1, 0), made(2, 0))  # after a crash, with the shard read back
    assert stored(store) == [made(1, 1), made(2, 0)]


async def test_same_version_replaces_itself() -> None:
    store = InMemoryStore()
    to = versioned(store)
    await write(to, made(1, 2, "old"))
    await write(to, made(1, 2, "new"))
    assert stored(store) == [made(1, 2, "new")]


async def test_rows_of_before_there_were_versions_are_the_first() -> None:
    store = InMemoryStore()
    await write(shards(store), row(1), row(2))
    await write(versioned(store), made(1, 1), made(2, 0))
    assert stored(store) == [made(1, 1), made(2, 0)]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1), min_size=1))
async def test_highest_version_stays_in_every_order(flushes: list[list[int]]) -> None:
    store = InMemoryStore()
    to = versioned(store)
    for versions in flushes:
        await write(to, *(made(1, version) for version in versions))
    assert stored(store) == [made(1, max(map(max, flushes)))]
