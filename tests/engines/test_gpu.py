"""What is asked of CUDA's libraries, and what is made of the answers."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines import gpu as gpus
from engines.errors import EngineError
from engines.gpu import Gpu, gpu, pin


class CannedDriver:
    """A test double of libcuda.so.1 and libcudart.so: one H100 under CUDA 12.8."""

    def __init__(self, fails: str = "") -> None:
        self._fails = fails
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == self._fails:
                return 100
            match name:
                case "cuDriverGetVersion":
                    arguments[0]._obj.value = 12080
                case "cuDeviceGetAttribute":
                    arguments[0]._obj.value = {75: 9, 76: 0}[arguments[1]]
                case "cuDeviceGetName":
                    arguments[0].value = b"NVIDIA H100"
            return 0

        return call


def test_describes_the_gpu() -> None:
    driver = CannedDriver()
    assert gpu(load=lambda name: driver) == Gpu("NVIDIA H100", "sm_90", "12.8")
    assert driver.calls[0] == "cuInit"


def _nothing(name: str) -> Any:
    raise OSError(name)


def test_no_driver_and_no_gpu_are_said() -> None:
    with pytest.raises(EngineError, match=r"no NVIDIA driver: cannot load libcuda\.so\.1"):
        gpu(load=_nothing)
    with pytest.raises(EngineError, match=r"cuDeviceGet\(3\) failed: CUDA error 100"):
        gpu(3, load=lambda name: CannedDriver("cuDeviceGet"))


def test_the_runtime_of_nvidias_python_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``nvidia-cuda-runtime`` lays it out; no loader looks there by itself."""
    file = tmp_path / "cu13" / "lib" / "libcudart.so.13"
    file.parent.mkdir(parents=True)
    file.touch()
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(gpus, "find_spec", lambda name: package if name == "nvidia" else None)

    def load(name: str) -> Any:
        return CannedDriver() if Path(name).is_file() else _nothing(name)

    assert gpus.library(gpus.RUNTIME, load) is not None
    monkeypatch.setattr(gpus, "find_spec", lambda name: None)
    assert gpus.library(gpus.RUNTIME, load) is None


def test_pins_and_gives_back() -> None:
    driver = CannedDriver()
    memory = ctypes.create_string_buffer(8)
    unpin = pin(ctypes.addressof(memory), 8, load=lambda name: driver)
    assert driver.calls == ["cudaHostRegister"]
    unpin()
    assert driver.calls == ["cudaHostRegister", "cudaHostUnregister"]
    with pytest.raises(EngineError, match="no CUDA runtime"):
        pin(0, 8, load=_nothing)
    with pytest.raises(EngineError, match="cudaHostRegister failed"):
        pin(0, 8, load=lambda name: CannedDriver("cudaHostRegister"))
