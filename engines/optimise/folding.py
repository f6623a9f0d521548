"""A model made ready for conversion: constants folded, opset raised, every node named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import numpy_helper, version_converter
from onnxruntime.quantization.shape_inference import quant_pre_process

from engines.errors import EngineError

# The first opset with a Gelu; LayerNormalization needs 17, Q/DQ per channel 13.
OPSET = 20


def fold(model: Path, target: Path) -> Mapping[str, str]:
    """Write `model` with constants folded and shapes inferred; types of its nodes by name.

    Folding also turns weights that lie behind a Cast into plain float32 ones, which the
    converters look for.
    """
    loaded = onnx.load(model)
    version = next(each.version for each in loaded.opset_import if each.domain in ("", "ai.onnx"))
    if version < OPSET:
        metadata = {each.key: each.value for each in loaded.metadata_props}
        loaded = version_converter.convert_version(loaded, OPSET)
        del loaded.metadata_props[:]
        onnx.helper.set_model_props(loaded, metadata)
    raised = target.with_suffix(".raised.onnx")
    onnx.save(loaded, raised)
    # Symbolic shape inference would need one more package, and finds nothing more here.
    quant_pre_process(str(raised), str(target), skip_symbolic_shape=True)
    folded = onnx.load(target)
    fuse_gelus(folded.graph)
    for number, node in enumerate(folded.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    onnx.save(folded, target)
    return {node.name: node.op_type for node in folded.graph.node}


def named(nodes: Mapping[str, str], keep: Sequence[str]) -> list[str]:
    """The nodes that `keep` means, by name or by type of operator.

    Raises:
        EngineError: the model has nothing of that name or type; a slip would go unseen.
    """
    unknown = set(keep) - set(nodes) - set(nodes.values())
    if unknown:
        raise EngineError(f"the model has no node or operator {', '.join(sorted(unknown))}")
    return [name for name, kind in nodes.items() if name in keep or kind in keep]


def fuse_gelus(graph: onnx.GraphProto) -> int:
    """Replace x / sqrt 2, Erf, + 1, * x, * 1/2 by one Gelu (Hendrycks, arXiv 1606.08415).

    Providers fuse the five by themselves, but not with a Q/DQ pair on the way in: then each is an
    operator of its own, and a pass over memory.

    Returns:
        How many there were.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def follow(node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        """The only reader of a node's output, if it is of that kind."""
        found = readers.get(node.output[0], [])
        return found[0] if len(found) == 1 and found[0].op_type == kind else None

    def is_constant(node: onnx.NodeProto, value: float) -> bool:
        held = [constants[name] for name in node.input if name in constants]
        return len(held) == 1 and held[0].size == 1 and abs(held[0].item() - value) < 1e-4

    fused = 0
    for erf in [node for node in graph.node if node.op_type == "Erf"]:
        scaled = makers.get(erf.input[0])
        added = follow(erf, "Add")
        gated = follow(added, "Mul") if added else None
        halved = follow(gated, "Mul") if gated else None
        if not (scaled and added and gated and halved) or scaled.op_type != "Div":
            continue
        if not (is_constant(scaled, 2**0.5) and is_constant(added, 1) and is_constant(halved, 0.5)):
            continue
        source = scaled.input[0]
        if source not in gated.input or len(readers[scaled.output[0]]) != 1:
            continue
        gelu = onnx.helper.make_node("Gelu", [source], list(halved.output), name=f"{erf.name}_gelu")
        graph.node.insert(list(graph.node).index(scaled), gelu)
        for node in (scaled, erf, added, gated, halved):
            graph.node.remove(node)
        fused += 1
    return fused
