"""A model's large float weights stored as float16: half the file, the same arithmetic.

Behind each lies a Cast to float32, which onnxruntime and TensorRT fold as they load the model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

SMALLEST = 4096  # elements: below it the node costs more than is won


def store_half(model: Path, target: Path) -> int:
    """Write `model` with its large float32 weights as float16; how many there were.

    Values that float16 cannot hold stay as they are.
    """
    loaded = onnx.load(model)
    casts = []
    for weights in list(loaded.graph.initializer):
        if weights.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weights)
        if values.size < SMALLEST or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name, half = weights.name, f"{weights.name}_half"
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(
            onnx.helper.make_node(
                "Cast", [half], [name], name=f"{half}_cast", to=onnx.TensorProto.FLOAT
            )
        )
    for place, cast in enumerate(casts):
        loaded.graph.node.insert(place, cast)
    onnx.checker.check_model(loaded)
    onnx.save(loaded, target)
    return len(casts)
