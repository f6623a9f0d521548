"""Bound buffers: the same answers as `run`, in place, batch after batch."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from engines.binding import Binding
from engines.catalogue import catalogue, locate
from engines.errors import EngineError
from engines.onnx_session import open_
from engines.tagging import WEIGHTS

CPU: tuple[str, dict[str, Any]] = ("CPUExecutionProvider", {})


@pytest.fixture(scope="module")
def session() -> Any:
    return open_(str(WEIGHTS), [CPU])


def test_answers_as_run_does(session: Any) -> None:
    binding = Binding(session, {"image": (2, 224, 224, 3)})
    dice = np.random.default_rng(0)
    for _ in range(3):
        images = dice.integers(0, 255, (2, 224, 224, 3), np.uint8)
        binding.inputs["image"][:] = images
        for mine, his in zip(binding.run(), session.run(None, {"image": images}), strict=True):
            np.testing.assert_allclose(mine, his, rtol=1e-4, atol=1e-4)


def test_outputs_lie_where_they_lay(session: Any) -> None:
    binding = Binding(session, {"image": (1, 224, 224, 3)})
    first = binding.run()[0]
    before = first.copy()
    binding.inputs["image"][:] = 255
    assert binding.run()[0] is first
    assert not np.allclose(first, before)


def test_an_output_whose_size_is_not_known_before_the_run() -> None:
    session = open_(str(locate(catalogue()["pp-ocrv6-rec-small"])), [CPU])
    binding = Binding(session, {"x": (1, 3, 48, 96)})
    crop = np.random.default_rng(0).random((1, 3, 48, 96), np.float32)
    binding.inputs["x"][:] = crop
    np.testing.assert_allclose(binding.run()[0], session.run(None, {"x": crop})[0], atol=1e-5)


def test_shapes_that_do_not_fit(session: Any) -> None:
    with pytest.raises(EngineError, match="inputs are image, not picture"):
        Binding(session, {"picture": (1, 224, 224, 3)})
    with pytest.raises(EngineError, match="image"):
        Binding(session, {"image": (224, 224, 3)})
    with pytest.raises(EngineError, match="inference failed"):
        Binding(session, {"image": (1, 8, 8, 3)}).run()


class Locks:
    """A test double of `engines.gpu.pin`."""

    def __init__(self, fails: bool = False) -> None:
        self.sizes: list[int] = []
        self.unlocked = 0
        self._fails = fails

    def __call__(self, address: int, size: int):  # type: ignore[no-untyped-def]
        if self._fails:
            raise EngineError("no CUDA runtime")
        self.sizes.append(size)

        def unlock() -> None:
            self.unlocked += 1

        return unlock


def test_buffers_are_locked_while_they_live(session: Any) -> None:
    locks = Locks()
    binding = Binding(session, {"image": (2, 224, 224, 3)}, locks)
    binding.run()
    assert locks.sizes == [2 * 224 * 224 * 3, 2 * 1000 * 4, 2 * 1280 * 4]
    assert locks.unlocked == 0
    del binding
    gc.collect()
    assert locks.unlocked == 3


def test_runs_without_locks_and_says_so(session: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        binding = Binding(session, {"image": (1, 224, 224, 3)}, Locks(fails=True))
    assert [record.getMessage() for record in caplog.records] == [
        "buffers not page-locked, copies are slower"
    ]
    assert binding.run()[0].shape == (1, 1000)
