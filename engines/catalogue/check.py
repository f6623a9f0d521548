"""Whether a model's file is what the catalogue says: its hash, its inputs, its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from engines.catalogue.locate import locate
from engines.catalogue.model import Model, Port
from engines.errors import EngineError
from engines.manifest import sha256

_TYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
}


def faults(model: Model, folder: Path | None = None) -> list[str]:
    """What is wrong with the model's file; nothing where it keeps the contract."""
    try:
        path = locate(model, folder)
        found = sha256(path)
    except EngineError as error:
        return [str(error)]
    wrong = []
    if model.sha256 is not None and found != model.sha256:
        wrong.append(f"{path}: SHA-256 is {found}, the catalogue says {model.sha256}")
    return [*wrong, *contract_faults(model, path)]


def contract_faults(model: Model, path: Path) -> list[str]:
    """Inputs and outputs of an ONNX file that are not as the model's entry has them."""
    options = ort.SessionOptions()
    # As they are in the file: an optimised graph may have lost a dynamic axis.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen types with no common root
        return [f"{path}: cannot be loaded: {error}"]
    return [
        *_differences("input", model.inputs, session.get_inputs()),
        *_differences("output", model.outputs, session.get_outputs()),
    ]


def _differences(kind: str, wanted: Sequence[Port], found: Sequence[Any]) -> list[str]:
    there = {each.name: each for each in found}
    wrong = [f"{kind} {port.name} is missing" for port in wanted if port.name not in there]
    known = {port.name for port in wanted}
    wrong += [f"{kind} {name} is not in the catalogue" for name in there if name not in known]
    for port in wanted:
        if (each := there.get(port.name)) is None:
            continue
        dtype = _TYPES.get(each.type, each.type)
        if dtype != port.dtype or not _fits(port, each.shape):
            shape = ", ".join(map(str, each.shape))
            wrong.append(f"{kind} {port.name} is {dtype}[{shape}], the catalogue says {port}")
    return wrong


def _fits(port: Port, shape: Sequence[int | str | None]) -> bool:
    """A dynamic axis of the catalogue's has to be dynamic in the file, unless its size is one."""
    if len(port.shape) != len(shape):
        return False
    for wanted, found in zip(port.shape, shape, strict=True):
        if isinstance(wanted, int):
            # Some exporters lose the size of an output; what an input takes is held to.
            if isinstance(found, int) and found != wanted:
                return False
        elif isinstance(found, int) and wanted in port.axes:
            bounds = port.axes[wanted]
            if not bounds.min == bounds.max == found:
                return False
    return True
