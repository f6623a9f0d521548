"""What a built engine depends on. If one field differs, it is another engine."""

from __future__ import annotations

import ctypes
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, get_args

import onnxruntime as ort

from engines.catalogue import Model
from engines.errors import EngineError
from engines.gpu import gpu

Precision = Literal["fp32", "fp16", "int8"]
NONE = "none"
_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")
_TENSORRT_LIBRARIES = ("libnvinfer.so.11", "libnvinfer.so.10")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every field is compared when a cached engine is opened.

    Attributes:
        model: SHA-256 of the ONNX file.
        precision: of the ONNX file's arithmetic.
        shapes: bounds of the optimisation profile, as `shapes_of` writes them.
        options: builder options that are not the default.
        onnxruntime, tensorrt, cuda: versions; ``none`` where the engine needs none.
        hardware: the GPU's architecture, such as ``sm_90``.
    """

    model: str
    provider: str
    precision: str
    shapes: str
    options: str
    onnxruntime: str
    tensorrt: str
    cuda: str
    hardware: str

    @classmethod
    def parse(cls, entry: Mapping[str, object]) -> Manifest:
        """Raises `EngineError` where it is no manifest."""
        names = [field.name for field in fields(cls)]
        if set(entry) != set(names) or not all(isinstance(entry[name], str) for name in names):
            raise EngineError(f"no manifest: it has {', '.join(sorted(entry))}")
        return cls(**{name: str(entry[name]) for name in names})

    def differences(self, wanted: Manifest) -> list[str]:
        """``field: old -> new`` for each field in which this one is not what is wanted."""
        mine, theirs = asdict(self), asdict(wanted)
        return [
            f"{name}: {mine[name]} -> {theirs[name]}" for name in mine if mine[name] != theirs[name]
        ]

    def digest(self) -> str:
        """Names the engine, the same on every machine: 32 hex digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def manifest(
    path: Path,
    contract: Model,
    *,
    provider: str,
    precision: str,
    options: Mapping[str, str] | None = None,
    device: int = 0,
) -> Manifest:
    """The manifest of an engine built here and now.

    Raises:
        EngineError: the file cannot be read, or there is no GPU.
    """
    if precision not in get_args(Precision):
        raise EngineError(
            f"no such precision: {precision}; there are {', '.join(get_args(Precision))}"
        )
    found = gpu(device)
    return Manifest(
        model=sha256(path),
        provider=provider,
        precision=precision,
        shapes=shapes_of(contract),
        options=",".join(f"{key}={value}" for key, value in sorted((options or {}).items())),
        onnxruntime=NONE if provider == "tensorrt-direct" else ort.__version__,
        tensorrt=tensorrt_version() if provider.startswith("tensorrt") else NONE,
        # The driver's only where onnxruntime does not say: a newer driver runs the same engine.
        cuda=str(getattr(ort, "cuda_version", "") or found.cuda),
        hardware=f"{found.architecture} {platform.machine()}",
    )


def shapes_of(contract: Model) -> str:
    """``image:1x300x300x3..16x300x300x3..32x300x300x3``, comma separated."""
    return ",".join(
        f"{port.name}:"
        + "..".join("x".join(map(str, port.at(which))) for which in ("min", "opt", "max"))
        for port in contract.inputs
    )


def sha256(path: Path) -> str:
    """Hex digest of a file. Raises `EngineError` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error}") from error
    return digest.hexdigest()


def tensorrt_version() -> str:
    """Version of the TensorRT that is installed.

    Raises:
        EngineError: none is found.
    """
    for name in _TENSORRT:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    for name in _TENSORRT_LIBRARIES:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        # NvInferVersion.h, from 10 on: major * 10000 + minor * 100 + patch
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    raise EngineError("no TensorRT is installed: pip install tensorrt")
