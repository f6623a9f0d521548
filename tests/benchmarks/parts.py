"""What each part of an expert's way with an image costs, one at a time and in one process.

CPU milliseconds an image, of all threads. The worker's own, which runs them all side by side, are
measured from outside; what it takes beyond their sum is Kafka, its event loop and its threads'
handing over.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from consumers.expert import Expert, Findings, Prepares, Sighting
from consumers.expert_stage import ExpertStage
from consumers.experts.ocr import DECODE_SCALE
from consumers.roster import expert_classes, make_codec
from consumers.stage import Record
from densefusion.settings import Settings
from densefusion.store import ObjectStore
from engines import detection, tagging
from engines.images import decode
from engines.ocr import Reader
from engines.session import Session, usable_cores

_CONNECTIONS = 16


class _Clock:
    def __init__(self, count: int) -> None:
        self._count = count
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        before = time.process_time()
        yield
        self.milliseconds[name] = (time.process_time() - before) / self._count * 1e3


def parts(settings: Settings, name: str, images: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """CPU milliseconds an image of each part, in order.

    Args:
        images: `Image` records whose bytes are in the store.
    """
    return asyncio.run(_parts(settings, name, images))


async def _parts(
    settings: Settings, name: str, images: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    clock, store = _Clock(len(images)), ObjectStore(settings.store)
    make = cast("Callable[[Any], Expert]", expert_classes([name])[name])
    expert = make(settings.experts)
    await expert.open()
    with clock("fetch from the store"):
        data = await _gathered(store.get, [each["object_key"] for each in images])
    with clock("decode"):
        pixels = [decode(each, min_side=expert.pixels) for each in data]
    with clock("prepare"):
        prepared = (
            [expert.prepare(each) for each in pixels] if isinstance(expert, Prepares) else pixels
        )
    sightings = [Sighting(image, each) for image, each in zip(images, prepared, strict=True)]
    with clock("expert"), _in_sessions() as seconds:
        found: list[Findings] = await _gathered(expert.find, sightings)
    spent = clock.milliseconds.pop("expert")
    clock.milliseconds["sessions"] = sum(seconds) / len(images) * 1e3
    clock.milliseconds["batching, findings"] = spent - clock.milliseconds["sessions"]
    stage = ExpertStage(expert, store, make_codec(settings))
    with clock("encode"):
        for image, each in zip(images, found, strict=True):
            record = Record("images", 0, 0, "", dict(image), b"")
            prior = stage._prior(record) | {"seconds": 0.0, "findings": each}
            stage._encoded(prior | {"lines": list(expert.describe(each))})
    await stage.close()
    store.close()
    return clock.milliseconds


async def _gathered(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """`work` on all items, some at a time, in order."""
    room = asyncio.Semaphore(4 * _CONNECTIONS)

    async def one(item: Any) -> Any:
        async with room:
            return await work(item)

    return await asyncio.gather(*map(one, items))


@contextmanager
def _in_sessions() -> Iterator[list[float]]:
    """CPU seconds of each `Session.run` meanwhile: sessions of one thread run in their caller's."""
    seconds: list[float] = []
    plain = Session.run

    def run(self: Session, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        before = time.thread_time()
        try:
            return plain(self, feeds)
        finally:
            seconds.append(time.thread_time() - before)

    Session.run = run  # type: ignore[method-assign]
    try:
        yield seconds
    finally:
        Session.run = plain  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Bare:
    """Of a loop that does nothing but run a model, on every core.

    Attributes:
        rate: images a second.
        cpu: CPU milliseconds an image.
        cores: how many it kept busy; fewer than there are where something else takes them.
    """

    rate: float
    cpu: float
    cores: float


def bare(settings: Settings, name: str, data: Sequence[bytes], seconds: float) -> Bare:
    """The bare session on prepared tensors.

    For detection and tagging that is `Session.run` in full batches, and no more. OCR's networks
    make each other's inputs: there it is the reader on decoded pictures.
    """
    size = settings.experts.max_batch
    batches: list[Any]
    if name == "ocr":
        side = round(DECODE_SCALE * settings.experts.ocr_max_side)
        batches, size = [[decode(each, min_side=side)] for each in data], 1
        run: Callable[[Any], object] = Reader.load(max_side=settings.experts.ocr_max_side).read
    else:
        model, prepare = {
            "detection": (detection.WEIGHTS, _detection_views),
            "tagging": (tagging.WEIGHTS, tagging.Tagger.prepare),
        }[name]
        views = [prepare(decode(each, min_side=256)) for each in data]
        whole = range(0, len(views) - size + 1, size)
        batches = [{"image": np.concatenate(views[at : at + size])} for at in whole]
        run = Session(model).run
    return _loop(run, batches, size, usable_cores(), seconds)


def _detection_views(pixels: np.ndarray) -> np.ndarray:
    image = detection.Detector.prepare(pixels)
    return np.stack([image, image[:, ::-1]])


def _loop(
    run: Callable[[Any], object], batches: Sequence[Any], size: int, threads: int, seconds: float
) -> Bare:
    barrier = threading.Barrier(threads)

    def loop(first: int) -> tuple[float, float, int, float]:
        run(batches[first % len(batches)])  # warm
        barrier.wait()
        began, cpu, done = time.perf_counter(), time.thread_time(), 0
        while time.perf_counter() - began < seconds:
            run(batches[(first + done) % len(batches)])
            done += 1
        return began, time.perf_counter(), done * size, time.thread_time() - cpu

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(loop, range(threads)))
    images, cpu = sum(each[2] for each in found), sum(each[3] for each in found)
    wall = max(each[1] for each in found) - min(each[0] for each in found)
    return Bare(images / wall, cpu / images * 1e3, cpu / wall)
