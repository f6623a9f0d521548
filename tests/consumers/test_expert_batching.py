"""How the experts' batchers and sessions are set up from the settings."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.experts.batching import (
    batch_buckets,
    make_batcher,
    records_in_flight,
    warm_sizes,
)
from consumers.experts.detection import Detection
from consumers.experts.sessions import open_session, version
from densefusion.settings import Experts
from engines.errors import EngineError


class Held:
    """A `run` that waits for its gate, and knows how many waited at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.sizes: list[int] = []
        self.at_once = self._inside = 0
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[int]:
        with self._lock:
            self.sizes.append(len(items))
            self._inside += 1
            self.at_once = max(self.at_once, self._inside)
        assert self.gate.wait(5)
        with self._lock:
            self._inside -= 1
        return list(items)


async def _run(provider: str, settings: Experts, items: int = 40) -> Held:
    held = Held()
    batcher = make_batcher(held, settings, provider, "test")
    tasks = [asyncio.create_task(batcher.submit(number)) for number in range(items)]
    await asyncio.sleep(0.1)
    held.gate.set()
    assert await asyncio.gather(*tasks) == list(range(items))
    await batcher.close()
    return held


async def test_a_gpu_has_one_batch_in_work_and_two_ahead_of_it() -> None:
    held = await _run("cuda", Experts(provider="cuda", max_batch=4))
    assert held.at_once == 3
    assert held.sizes[:3] == [4, 4, 4]


async def test_the_cpu_has_one_batch_a_thread_and_none_ahead() -> None:
    held = await _run("cpu", Experts(threads=2, max_batch=4))
    assert held.at_once == 2


async def test_a_fallback_to_the_cpu_is_batched_as_the_cpu() -> None:
    held = await _run("cpu", Experts(provider="cuda", allow_fallback=True, threads=1, max_batch=4))
    assert held.at_once == 1


@given(st.integers(1, 256))
def test_buckets_end_at_the_largest_batch_and_waste_less_than_half(max_batch: int) -> None:
    buckets = batch_buckets(max_batch)
    assert buckets == sorted(set(buckets))
    assert buckets[0] == 1 and buckets[-1] == max_batch
    assert all(after <= 2 * before for before, after in itertools.pairwise(buckets))


def test_sizes_to_warm() -> None:
    assert warm_sizes("tensorrt", 12) == [12, 8, 4, 2, 1]
    assert warm_sizes("cpu", 12) == [12]


def test_records_in_flight_keep_the_batches_full() -> None:
    assert records_in_flight(Experts(provider="cuda", max_batch=32), 64) == 4 * 32 * 3
    assert records_in_flight(Experts(threads=2, max_batch=4), 64) == 64
    assert records_in_flight(Experts(threads=16, max_batch=8), 64) == 4 * 8 * 16


def test_a_session_is_what_the_settings_say_or_an_error() -> None:
    name = "coco-ssdlite-mobilenet-v2"
    session = open_session(name, Experts())
    assert (session.provider, session.inputs) == ("cpu", ["image"])
    assert version(name, "fp32") == Detection(Experts()).model_version == "1.0.6"
    assert version(name, "int8") == "1.0.6-int8"


def test_a_precision_that_was_not_built_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EngineError, match="engines build"):
        open_session("coco-ssdlite-mobilenet-v2", Experts(precision="fp16"))
