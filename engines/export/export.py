"""From a folder of PyTorch weights to what runs: an ONNX file, its card, its tokenizer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import EngineError
from engines.export.described import labels, picture, sha256
from engines.export.tokenizer import bake
from engines.export.weights import imported, load
from engines.full.card import Card, Picture
from engines.full.texts import TOKENIZER

MODEL = "model.onnx"
_DETR = frozenset({"rt_detr", "rt_detr_v2", "d_fine"})
# Relative to an output's mean size. FP32 in another order of summation gives some 1e-5 after a
# dozen layers; anything wrong gives more than 1e-1.
_BOUND = 1e-2
_BATCHES = (1, 3)


@dataclass(frozen=True, slots=True)
class _Export:
    """One kind: which models it takes, and what it makes of one."""

    architectures: frozenset[str]
    build: Callable[[Any, Any], Any]  # the model and its `Pixels` to a module of `graphs`
    outputs: tuple[str, ...]
    takes: tuple[str, ...] = ("image",)
    unordered: bool = False  # rows of its outputs are a set


def _graph(name: str, part: str = "") -> Callable[[Any, Any], Any]:
    def build(model: Any, pixels: Any) -> Any:
        from engines.export import graphs

        whole = getattr(model, part) if part else model
        make = getattr(graphs, name)
        return make(whole) if pixels is None else make(pixels, whole)

    return build


_SIGLIP, _OWL = frozenset({"siglip"}), frozenset({"owlv2"})
_KINDS: Mapping[str, _Export] = {
    "rt-detr-v2": _Export(_DETR, _graph("Detector"), ("boxes", "scores"), unordered=True),
    "owlv2-image": _Export(_OWL, _graph("OpenDetector"), ("boxes", "scores"), ("image", "queries")),
    "owlv2-text": _Export(_OWL, _graph("OpenText"), ("embedding",), ("input_ids",)),
    "siglip2-image": _Export(_SIGLIP, _graph("ImageEmbedding", "vision_model"), ("embedding",)),
    "siglip2-text": _Export(
        _SIGLIP, _graph("TextEmbedding", "text_model"), ("embedding",), ("input_ids",)
    ),
    "dinov2": _Export(frozenset({"dinov2"}), _graph("ImageEmbedding"), ("embedding",)),
}
EXPORTS = tuple(_KINDS)


def export(what: str, source: Path, target: Path) -> Path:
    """Export the model in the folder `source`, and prove that the file computes the same.

    Args:
        what: one of `EXPORTS`. ``rt-detr-v2`` takes RT-DETR and D-FINE too.
        source: config.json, *.safetensors, the makers' files on pictures and texts.
        target: folder for `MODEL`, the card, a tokenizer; made, or its files replaced, only when
            all is well.

    Returns:
        The ONNX file.

    Raises:
        EngineError: the folder, the export or the comparison is not what it should be.
    """
    if what not in _KINDS:
        raise EngineError(f"no export {what}; there are {', '.join(EXPORTS)}")
    kind = _KINDS[what]
    imported("torch")
    model = load(source, kind.architectures)
    shown: Picture | None = None
    pixels = None
    if "image" in kind.takes:
        from engines.export.graphs import Pixels

        shown, normal = picture(source)
        pixels = Pixels(*normal)
    module = kind.build(model, pixels)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".export-") as scratch:
        path = Path(scratch, MODEL)
        if "input_ids" in kind.takes:
            bake(source, model.config.text_config.max_position_embeddings, path.parent / TOKENIZER)
        _write(kind, module, shown, model.config, path)
        _card(kind, model, source, shown).write(path)
        _prove(kind, module, shown, model.config, path)
        for file in sorted(path.parent.iterdir()):
            shutil.move(file, target / file.name)
    return target / MODEL


def _card(kind: _Export, model: Any, source: Path, shown: Picture | None) -> Card:
    detects = kind.architectures is _DETR
    scored = kind.architectures is _SIGLIP and shown is not None
    return Card(
        source=source.name,
        sha256=sha256(source),
        picture=shown,
        labels=labels(model.config) if detects else [],
        scale=float(model.logit_scale.detach().exp()) if scored else 1.0,
        bias=float(model.logit_bias.detach()) if scored else 0.0,
    )


def _write(kind: _Export, module: Any, shown: Picture | None, config: Any, path: Path) -> None:
    import torch

    from engines.export.onnx_file import write

    feeds = {name: torch.from_numpy(feed) for name, feed in _feeds(kind, shown, config, 2).items()}
    batch = "t" if "input_ids" in feeds else "n"
    axes = {name: {0: batch} | ({1: "q"} if name == "queries" else {}) for name in feeds}
    write(module, feeds, axes, kind.outputs, path)


def _prove(kind: _Export, module: Any, shown: Picture | None, config: Any, path: Path) -> None:
    from engines.export.parity import compare
    from engines.session import Session, usable_cores

    session = Session(path, threads=usable_cores())
    for batch in _BATCHES:
        feeds = _feeds(kind, shown, config, batch)
        apart = compare(module, session, feeds, unordered=kind.unordered)
        for name, difference in apart.items():
            if not difference.relative <= _BOUND:
                raise EngineError(
                    f"{path.parent.name}: `{name}` differs from PyTorch's by "
                    f"{difference.relative:.2g} of its size at batch {batch}; nothing was kept"
                )


def _feeds(kind: _Export, shown: Picture | None, config: Any, batch: int) -> dict[str, np.ndarray]:
    """Inputs to export and to compare with: coarse noise, the same every time."""
    random = np.random.default_rng(batch)
    feeds: dict[str, np.ndarray] = {}
    if shown is not None:
        coarse = random.integers(0, 256, (batch, 8, 8, 3), np.uint8)
        rows = np.arange(shown.height) * 8 // shown.height
        columns = np.arange(shown.width) * 8 // shown.width
        feeds["image"] = coarse[:, rows][:, :, columns]
    if "queries" in kind.takes:
        width = config.text_config.hidden_size
        feeds["queries"] = random.standard_normal((batch, batch + 3, width), np.float32)
    if "input_ids" in kind.takes:
        text = config.text_config
        size = (batch, text.max_position_embeddings)
        feeds["input_ids"] = random.integers(1, text.vocab_size, size, np.int64)
    return feeds
