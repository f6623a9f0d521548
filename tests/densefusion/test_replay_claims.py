"""A dead letter of curate does not become a duplicate of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.curate import Curate
from consumers.stage import Rejected
from densefusion.replay.claims import Claims
from densefusion.replay.origin import Origin
from densefusion.store import Missing
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import image, record

ID = "ab" * 32


class Store(InMemoryStore):
    """With the calls for callers without a loop."""

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise Missing(key)
        return self.objects[key]

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


def origin(offset: int, partition: int = 0, topic: str = "p.fetched", key: bytes | None = None):  # type: ignore[no-untyped-def]
    return Origin(topic, partition, offset, key or ID.encode(), b"v", [])


@pytest.fixture
def store() -> Store:
    return Store()


def curate(store: Store, offset: int) -> list[Any]:
    """What curate makes of the image at this offset of ``fetched``."""
    stage = Curate(store, "log1")  # type: ignore[arg-type]
    return list(asyncio.run(stage.process(record(image(ID), "fetched", 0, offset))))


def claims(store: Store, log: str = "log1") -> Claims:
    return Claims(store, "p.fetched", log)  # type: ignore[arg-type]


def test_put_back_it_goes_through_again(store: Store) -> None:
    curate(store, 5)  # claims, and dies before its output is published
    with pytest.raises(Rejected, match="duplicate"):
        curate(store, 9)  # put back as it is, it would be a duplicate of itself
    assert claims(store).take_back(origin(5))
    assert len(curate(store, 9)) == 1
    assert len(curate(store, 9)) == 1  # and again, after a crash


def test_a_claim_of_another_record_stays(store: Store) -> None:
    curate(store, 5)
    for other in (
        origin(6),
        origin(5, partition=1),
        origin(5, topic="p.images"),
        origin(5, key=b"../../etc"),
        origin(5, key=b"AB" * 32),
    ):
        assert not claims(store).take_back(other)
    assert not claims(store, log="log2").take_back(origin(5))  # the topic was made anew
    assert len(store.objects) == 1


def test_nothing_claimed(store: Store) -> None:
    assert not claims(store).take_back(origin(5))
