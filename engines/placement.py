"""Where onnxruntime put the nodes of a model, and which of them have no business there.

A session of a GPU's provider comes up even where most of its nodes fell back to the CPU.
``session.disable_cpu_ep_fallback`` is no answer: it also refuses the arithmetic on shapes, which
onnxruntime puts on the CPU by design, since a GPU would only be waited for. So the nodes are read
(``session.record_ep_graph_assignment_info``, onnxruntime 1.24 on) and told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RECORD = "session.record_ep_graph_assignment_info"

# What arithmetic on shapes is made of. Any of these on whole tensors the CUDA provider takes: one
# that is on the CPU is there for a shape.
_SHAPE_OPS = frozenset(
    """
    Abs Add And Cast Ceil Concat Constant ConstantOfShape Div Equal Expand Flatten Floor Gather
    GatherElements GatherND Greater GreaterOrEqual Identity If Less LessOrEqual Max Min Mod Mul Neg
    NonZero Not Or Range ReduceMax ReduceMin ReduceProd ReduceSum Reshape ScatterND Shape Size Slice
    Split Sqrt Squeeze Sub Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905 - 50 quoted words are worse to read
)
CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Placement:
    """Nodes by provider.

    Attributes:
        counts: onnxruntime's name of a provider to the number of its nodes.
        strays: op types on the CPU that are no arithmetic on shapes, and how many of each.
    """

    counts: Mapping[str, int]
    strays: Mapping[str, int]


def placement(session: Any) -> Placement:
    """Of an `onnxruntime.InferenceSession` that was made with `RECORD` set to ``"1"``."""
    nodes = (
        (subgraph.ep_name, node.op_type)
        for subgraph in session.get_provider_graph_assignment_info()
        for node in subgraph.get_nodes()
    )
    return sort_out(nodes)


def sort_out(nodes: Iterable[tuple[str, str]]) -> Placement:
    """From (provider, op type) of each node."""
    counts: Counter[str] = Counter()
    strays: Counter[str] = Counter()
    for provider, op_type in nodes:
        counts[provider] += 1
        if provider == CPU and op_type not in _SHAPE_OPS:
            strays[op_type] += 1
    return Placement(dict(counts), dict(strays))
