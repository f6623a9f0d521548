"""The package ``tensorrt``, imported late."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any

from engines.errors import EngineError
from engines.gpu import RUNTIME, gpu, library

_OLDEST, _NEWEST = 10, 11


def lacking(device: int = 0) -> list[str]:
    """What this machine has not got of all that TensorRT without onnxruntime needs."""
    found = []
    for ask in (tensorrt, lambda: gpu(device)):
        try:
            ask()
        except EngineError as error:
            found.append(str(error))
    if library(RUNTIME, ctypes.CDLL) is None:
        found.append(f"no CUDA runtime: cannot load {RUNTIME[0]} (pip install nvidia-cuda-runtime)")
    return found


def tensorrt() -> Any:
    """The module.

    Raises:
        EngineError: it is not installed, or of a version that this is not written for.
    """
    try:
        module = import_module("tensorrt")
    except (ImportError, OSError) as error:  # OSError: its libraries are missing
        raise EngineError(
            f"the package tensorrt cannot be imported ({error}): pip install 'densefusion[gpu]', "
            "on Linux, with NVIDIA's driver"
        ) from error
    major = int(str(module.__version__).split(".", maxsplit=1)[0])
    if not _OLDEST <= major <= _NEWEST:
        raise EngineError(f"tensorrt {module.__version__} is not {_OLDEST} or {_NEWEST}")
    return module
