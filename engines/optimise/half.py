"""FP16 by conversion of the graph, by onnxruntime's own converter.

It is the maintained descendant of ``onnxconverter-common``'s, and comes with onnxruntime: it knows
which inputs must stay float32 in each opset, and keeps initializers whole that only float32 nodes
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import (
    DEFAULT_OP_BLOCK_LIST,
    convert_float_to_float16,
)
from onnxruntime.transformers.onnx_model import OnnxModel

# Sums over a whole picture, and exponentials, leave FP16's range (65504) or its 11 bits.
DELICATE = ("ReduceMean", "ReduceSum", "GlobalAveragePool", "Softmax", "Exp", "Pow")


def convert(model: Path, target: Path, keep: Sequence[str]) -> None:
    """Write `model` in float16; the nodes `keep`, and those of `DELICATE`, stay in float32."""
    loaded = onnx.load(model)
    # A weight that is declared twice would get a cast of its own where it is kept in float32.
    weights = {each.name for each in loaded.graph.initializer}
    declared = [each for each in loaded.graph.value_info if each.name not in weights]
    del loaded.graph.value_info[:]
    loaded.graph.value_info.extend(declared)
    converted = convert_float_to_float16(
        loaded,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *DELICATE],
        node_block_list=list(keep),
        disable_shape_infer=True,  # `folding` has done it
    )
    # It appends the casts around what is kept; a parser may want them before their readers.
    OnnxModel.graph_topological_sort(converted.graph)
    onnx.checker.check_model(converted)
    onnx.save(converted, target)
