"""CUDA's runtime by ctypes: which calls it gets, and what becomes of its errors."""

from __future__ import annotations

from typing import Any

import pytest

from engines.errors import EngineError
from engines.tensorrt.cuda import Cuda


class CannedRuntime:
    """A test double of libcudart.so: says what was called, and fails where it is told to."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            return 1 if name == self._fails else 0

        return call


def test_a_capture_that_breaks_is_ended() -> None:
    runtime = CannedRuntime()
    cuda = Cuda(load=lambda name: runtime)

    def fail() -> None:
        raise EngineError("could not queue")

    with pytest.raises(EngineError, match="could not queue"):
        cuda.capture(fail)
    assert runtime.calls[-2:] == ["cudaStreamBeginCapture", "cudaStreamEndCapture"]
    cuda.capture(lambda: None)
    assert runtime.calls[-3:] == [
        "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphDestroy",
    ]  # fmt: skip


def test_cudas_errors_are_ours() -> None:
    with pytest.raises(EngineError, match="cudaStreamCreate failed: CUDA error 1"):
        Cuda(load=lambda name: CannedRuntime("cudaStreamCreate"))

    def nothing(name: str) -> Any:
        raise OSError(name)

    with pytest.raises(EngineError, match="no CUDA runtime"):
        Cuda(load=nothing)
