"""Curate: the first of each content goes on, and every other one names it."""

from __future__ import annotations

import asyncio
import json

import pytest

from consumers.curate import Curate
from consumers.stage import Rejected
from densefusion.errors import StoreError
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import image, record


def curate(store: InMemoryStore, log: str = "log1") -> Curate:
    return Curate(store, log)  # type: ignore[arg-type]


async def test_first_of_its_content_goes_on() -> None:
    (emit,) = await curate(InMemoryStore()).process(record(image("abcd12"), "fetched"))
    assert (emit.topic, emit.key, emit.schema) == ("images", "abcd12", "Image")
    assert emit.value == image("abcd12")


async def test_claim_lies_under_its_content() -> None:
    store = InMemoryStore()
    await curate(store).process(record(image("abcd12"), "fetched", 2, 7))
    (key,) = store.objects
    assert key == "claims/ab/cd/abcd12"
    assert json.loads(store.objects[key]) == {
        "log": "log1", "partition": 2, "offset": 7, "url": image()["url"],
    }  # fmt: skip


async def test_second_is_a_reject_that_names_the_first() -> None:
    stage = curate(InMemoryStore())
    first = image() | {"url": "https://example.org/first"}
    await stage.process(record(first, "fetched", 0, 1))
    with pytest.raises(Rejected) as rejected:
        await stage.process(record(image(), "fetched", 0, 2))
    assert rejected.value.reason == "duplicate"
    assert rejected.value.duplicate_of == "https://example.org/first"


async def test_same_record_again_goes_through() -> None:
    """After a crash between the claim and the commit, by another worker."""
    store = InMemoryStore()
    await curate(store).process(record(image(), "fetched", 3, 9))
    assert len(await curate(store).process(record(image(), "fetched", 3, 9))) == 1
    assert len(store.writes) == 1


@pytest.mark.parametrize("place", [(3, 8), (2, 9)])
async def test_same_url_at_another_place_is_a_duplicate(place: tuple[int, int]) -> None:
    store = InMemoryStore()
    await curate(store).process(record(image(), "fetched", 3, 9))
    with pytest.raises(Rejected):
        await curate(store).process(record(image(), "fetched", *place))


async def test_same_place_on_a_topic_made_anew_is_a_duplicate() -> None:
    store = InMemoryStore()
    await curate(store, "old").process(record(image(), "fetched", 3, 9))
    with pytest.raises(Rejected):
        await curate(store, "new").process(record(image(), "fetched", 3, 9))


async def test_of_many_at_once_one_goes_through() -> None:
    store = InMemoryStore()
    stages = [curate(store), curate(store)]
    results = await asyncio.gather(
        *(
            stages[offset % 2].process(record(image(), "fetched", 0, offset))
            for offset in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Rejected) for each in results) == 19
    assert sum(isinstance(each, list) for each in results) == 1


async def test_different_contents_do_not_meet() -> None:
    stage = curate(InMemoryStore())
    for image_id in ("abcd12", "abcd13"):
        assert len(await stage.process(record(image(image_id), "fetched"))) == 1


async def test_store_that_is_down_stops_the_worker() -> None:
    store = InMemoryStore()
    store.failure = StoreError("down")
    with pytest.raises(StoreError):
        await curate(store).process(record(image(), "fetched"))
