"""The GPU, asked through CUDA's driver and runtime libraries; no package is needed for that.

Source: CUDA Driver API (cuInit, cuDriverGetVersion, cuDeviceGet, cuDeviceGetAttribute,
cuDeviceGetName) and CUDA Runtime API (cudaHostRegister, cudaHostUnregister).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines.errors import EngineError

_DRIVER = ("libcuda.so.1", "nvcuda.dll")
RUNTIME = ("libcudart.so.13", "libcudart.so.12", "cudart64_13.dll", "cudart64_12.dll")
# CUdevice_attribute
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76

Loader = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes:
        architecture: compute capability as CUDA's compilers name it: ``sm_90``.
        cuda: the newest CUDA that the driver speaks: ``12.8``.
    """

    name: str
    architecture: str
    cuda: str


def gpu(device: int = 0, load: Loader = ctypes.CDLL) -> Gpu:
    """The GPU of that number.

    Raises:
        EngineError: there is no driver, or no such GPU.
    """
    driver = library(_DRIVER, load)
    if driver is None:
        raise EngineError(f"no NVIDIA driver: cannot load {_DRIVER[0]}")
    _check("cuInit", driver.cuInit(0))
    version, handle = ctypes.c_int(), ctypes.c_int()
    _check("cuDriverGetVersion", driver.cuDriverGetVersion(ctypes.byref(version)))
    _check(f"cuDeviceGet({device})", driver.cuDeviceGet(ctypes.byref(handle), device))
    major, minor = (
        _attribute(driver, number, handle) for number in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
    )
    name = ctypes.create_string_buffer(256)
    _check("cuDeviceGetName", driver.cuDeviceGetName(name, len(name), handle))
    return Gpu(
        name=name.value.decode("utf-8", "replace"),
        architecture=f"sm_{major}{minor}",
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def pin(address: int, size: int, load: Loader = ctypes.CDLL) -> Callable[[], None]:
    """Page-lock memory, so that the GPU's copy engine reads and writes it by itself.

    Args:
        address, size: of the memory, in bytes.

    Returns:
        What gives the lock back; to be called before the memory is freed.

    Raises:
        EngineError: there is no CUDA runtime, or it refuses.
    """
    runtime = library(RUNTIME, load)
    if runtime is None:
        raise EngineError(f"no CUDA runtime: cannot load {RUNTIME[0]}")
    where = ctypes.c_void_p(address)
    _check("cudaHostRegister", runtime.cudaHostRegister(where, ctypes.c_size_t(size), 0))
    return lambda: _check("cudaHostUnregister", runtime.cudaHostUnregister(where))


def library(names: Sequence[str], load: Loader) -> Any | None:
    """The first that can be loaded: the system's, or that of one of NVIDIA's Python packages."""
    for name in names:
        for path in [name, *_packaged(name)]:
            try:
                return load(path)
            except OSError:
                continue
    return None


def _packaged(name: str) -> list[str]:
    """Where ``nvidia-cuda-runtime`` and its like put it: no loader looks there by itself."""
    spec = find_spec("nvidia")
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    return [
        str(path)
        for folder in folders
        for place in ("lib", "bin", "bin/x86_64")
        for path in sorted(Path(folder).glob(f"*/{place}/{name}"))
    ]


def _attribute(driver: Any, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    found = driver.cuDeviceGetAttribute(ctypes.byref(value), number, device)
    _check("cuDeviceGetAttribute", found)
    return value.value


def _check(call: str, code: int) -> None:
    if code != 0:
        raise EngineError(f"{call} failed: CUDA error {code}")
