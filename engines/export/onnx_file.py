"""A torch module to an ONNX file whose named axes are dynamic, checked against the module."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from engines.errors import EngineError
from engines.export.sampling import gathered

# GridSample apart, opset 18 holds all that these models need; TensorRT reads it from 8.6 on.
OPSET = 18


def write(
    module: torch.nn.Module,
    feeds: Mapping[str, torch.Tensor],
    axes: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str],
    target: Path,
) -> None:
    """Export `module` to `target`.

    Args:
        feeds: example inputs by name, in the order of `forward`. No dynamic axis may be 1 or equal
            another one's size, or it could be taken for a constant.
        axes: for each input its dynamic axes and their names; the same name is the same size.
        outputs: names.

    Raises:
        EngineError: torch cannot export it.
    """
    dimensions = {
        name: torch.export.Dim(name, min=1)
        for name in dict.fromkeys(name for of in axes.values() for name in of.values())
    }
    shapes = {
        name: {axis: dimensions[label] for axis, label in axes.get(name, {}).items()}
        for name in feeds
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    source = sys.modules[type(getattr(module, "model", module)).__module__]
    with (
        warnings.catch_warnings(),
        torch.no_grad(),
        gathered(),
        _unchecked(),
        _symbolic_len(source),
    ):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            # In two steps: alone, `torch.onnx.export` answers a dynamic axis that the model's code
            # has fixed with a file of fixed size, and says nothing.
            traced = torch.export.export(
                module.eval(), tuple(feeds.values()), dynamic_shapes=shapes, strict=False
            )
            program: Any = torch.onnx.export(
                traced,
                dynamo=True,
                dynamic_shapes=shapes,  # for the axes' names
                input_names=list(feeds),
                opset_version=OPSET,
                verbose=False,
            )
            _name(program.model.graph, outputs)
            program.save(str(target))
        except Exception as error:
            raise EngineError(f"cannot export to {target}: {error}") from error


def _name(graph: Any, outputs: Sequence[str]) -> None:
    """Name the graph's outputs. Told the names, the exporter gives them away twice where a node
    inside is called so already, as that of any `nn.Embedding` is: ``embedding``."""
    for node in graph:
        for value in node.outputs:
            if value.name in outputs:
                value.name = f"{value.name}.inside"
    for name in outputs:
        if name in graph.initializers:
            constant = graph.initializers.pop(name)
            constant.name = f"{name}.inside"
            graph.initializers.add(constant)
    for value, name in zip(graph.outputs, outputs, strict=True):
        value.name = name


@contextmanager
def _unchecked() -> Iterator[None]:
    """Without the checks of shapes in `transformers`, for which ONNX has no operators."""
    switch = "TRANSFORMERS_DISABLE_TORCH_CHECK"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before


@contextmanager
def _symbolic_len(module: ModuleType) -> Iterator[None]:
    """In `module`, the length of a tensor may stay unknown.

    RT-DETR's and D-FINE's code ask for the batch by ``len(tensor)``, which Python makes an integer:
    the graph would take that batch alone.
    """

    def length(of: Any) -> Any:
        return of.shape[0] if isinstance(of, torch.Tensor) else len(of)

    vars(module)["len"] = length
    try:
        yield
    finally:
        del vars(module)["len"]
