"""Pixels on their way to an expert: prepared in the pool, and never too many in memory."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from consumers.expert import Findings, Sighting
from consumers.expert_stage import ExpertStage
from engines import images
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC, image, prior, record
from tests.consumers.test_expert_stage import RecordingExpert

SIDE = 100
PICTURE = SIDE * SIDE * 3  # bytes, decoded
DECODING = PICTURE + images.working_bytes(SIDE, SIDE, jpeg=False) + 600  # at the most


class Gated(RecordingExpert):
    """Holds every image until `gate` opens; `at_once` is how many it held at the most."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.gate = asyncio.Event()
        self.held = self.at_once = 0

    async def find(self, sighting: Sighting) -> Findings:
        self.held += 1
        self.at_once = max(self.at_once, self.held)
        await self.gate.wait()
        self.held -= 1
        return await super().find(sighting)


class Halving(Gated):
    """Prepares: a quarter of the pixels."""

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        self.prepared_in = threading.current_thread().name
        if pixels.max() == 13:
            raise ZeroDivisionError("thirteen")
        return pixels[::2, ::2].copy()


class CountingStore(InMemoryStore):
    """Every key is a picture of one shade, by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[str] = []

    async def get(self, key: str) -> bytes:
        self.gets.append(key)
        out = io.BytesIO()
        shade = int(key.rpartition("/")[2])
        Picture.new("RGB", (SIDE, SIDE), (shade,) * 3).save(out, "PNG")
        return out.getvalue()


def an_image(number: int, **changes: Any) -> dict[str, Any]:
    sizes = {"width": SIDE, "height": SIDE, "mime": "image/png", "size": 300}
    return image(str(number)) | sizes | changes


def make_stage(expert: RecordingExpert, store: InMemoryStore, memory: int) -> ExpertStage:
    return ExpertStage(expert, store, CODEC, memory=memory)  # type: ignore[arg-type]


async def statuses(stage: ExpertStage, expert: Gated, values: list[dict[str, Any]]) -> list[str]:
    """Process all at once; the gate opens as soon as nothing moves any more."""
    tasks = [asyncio.create_task(stage.process(record(value))) for value in values]
    await asyncio.sleep(0.2)
    expert.gate.set()
    emits = [emit for (emit,) in await asyncio.gather(*tasks)]
    await stage.close()
    return [CODEC.decode(emit.schema, emit.value)["status"] for emit in emits]  # type: ignore[arg-type]


async def test_pictures_in_memory_are_bounded_and_no_more_are_fetched() -> None:
    expert, store = Gated(), CountingStore()
    stage = make_stage(expert, store, 2 * PICTURE + DECODING)
    tasks = [asyncio.create_task(stage.process(record(an_image(n)))) for n in range(12)]
    await asyncio.sleep(0.2)
    assert expert.held == len(store.gets) == 3
    expert.gate.set()
    assert len(await asyncio.gather(*tasks)) == 12
    await stage.close()
    assert len(expert.seen) == 12


async def test_what_is_prepared_takes_less() -> None:
    expert = Halving()
    stage = make_stage(expert, CountingStore(), PICTURE + DECODING)
    assert set(await statuses(stage, expert, [an_image(n) for n in range(12)])) == {"ok"}
    assert expert.at_once >= 4
    assert expert.prepared_in.startswith("decode")
    assert all(seen.pixels is not None and seen.pixels.shape[0] == 50 for seen in expert.seen)


async def test_failure_to_prepare_is_an_answer_and_gives_its_memory_back() -> None:
    expert = Halving()
    stage = make_stage(expert, CountingStore(), PICTURE + 300)
    values = [an_image(13) for _ in range(4)] + [an_image(n) for n in range(4)]
    assert await statuses(stage, expert, values) == ["failed"] * 4 + ["ok"] * 4


async def test_a_picture_larger_than_the_bound_is_done_alone() -> None:
    expert = Gated()
    stage = make_stage(expert, CountingStore(), 1000)
    assert set(await statuses(stage, expert, [an_image(n) for n in range(3)])) == {"ok"}
    assert expert.at_once == 1


async def test_who_follows_a_prior_is_bounded_too() -> None:
    expert = Gated(follows="priors.ocr")
    stage = make_stage(expert, CountingStore(), PICTURE + DECODING)
    values = [prior("ocr", str(n)) for n in range(6)]
    assert set(await statuses(stage, expert, values)) == {"ok"}
    assert expert.at_once == 2


async def test_a_record_that_lies_about_its_size_is_counted_as_it_is() -> None:
    expert = Gated()
    stage = make_stage(expert, CountingStore(), PICTURE)
    values = [an_image(n, width=1, height=1, size=1) for n in range(9)]
    first = asyncio.create_task(stage.process(record(values[0])))
    await asyncio.sleep(0.1)
    rest = [asyncio.create_task(stage.process(record(value))) for value in values[1:]]
    await asyncio.sleep(0.1)
    assert expert.held == 1
    expert.gate.set()
    await asyncio.gather(first, *rest)
    await stage.close()


@pytest.mark.parametrize("min_side", [None, 1, 99, 100, 256, 300, 1000])
@pytest.mark.parametrize("size", [(1024, 768), (801, 1203), (2400, 2400), (300, 300), (5, 9)])
def test_the_bytes_of_a_picture_are_known_beforehand(
    size: tuple[int, int], min_side: int | None
) -> None:
    out = io.BytesIO()
    Picture.new("RGB", size).save(out, "JPEG")
    expected = images.decoded_bytes(*size, min_side=min_side)
    assert images.decode(out.getvalue(), min_side=min_side).nbytes == expected
