"""TensorRT engines through onnxruntime's TensorRT provider: built into the cache, opened from it.

The provider's own cache trusts file names; so each engine lies in an entry of `engines.cache`,
whose manifest says what it was built from and for. What is opened is an EP-context model: an ONNX
file of one node that names the engine beside it. It needs no parser, no builder and no original.

Source: onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html (explicit shape
ranges, timing cache, embedded engine model) and EP-Context-Design.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engines.cache import Cache
from engines.catalogue import Model
from engines.errors import EngineError
from engines.manifest import Precision, manifest

PROVIDER = "TensorrtExecutionProvider"
CONTEXT = "model_ctx.onnx"
_ENGINES = "engines"  # beside the context model, which names it by a relative path


class Opener(Protocol):
    """`engines.session.open_`: the one seam to onnxruntime."""

    def __call__(
        self, source: str, providers: Sequence[tuple[str, Mapping[str, Any]]], /
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """What to open: an ONNX file, and the options of TensorRT's provider for it."""

    path: Path
    options: Mapping[str, str]


def slot(contract: Model, provider: str, precision: str) -> str:
    """The cache's name of a model on a provider in a precision."""
    return f"{contract.name}-{provider}-{precision}"


def built_engine(
    model: Path, contract: Model, precision: Precision, cache: Cache, device: int, opener: Opener
) -> Engine:
    """The engine of a model, from the cache or built now.

    Raises:
        EngineError: the cache refuses, or TensorRT cannot build it.
    """
    wanted = manifest(model, contract, provider="tensorrt", precision=precision, device=device)

    def build(folder: Path) -> None:
        _build(folder, model, contract, cache.folder / "timing", device, opener)

    place = cache.entry(slot(contract, "tensorrt", precision), wanted, build)
    return Engine(place / CONTEXT, {"device_id": str(device)})


def profile(contract: Model) -> dict[str, str]:
    """The options that bound every dynamic axis: ``trt_profile_min_shapes`` and its sisters."""
    return {
        f"trt_profile_{which}_shapes": ",".join(
            f"{port.name}:{'x'.join(map(str, port.at(which)))}" for port in contract.inputs
        )
        for which in ("min", "opt", "max")
    }


def build_options(folder: Path, contract: Model, timing: Path, device: int) -> dict[str, str]:
    """The provider's options for building an engine into `folder`.

    None for the precision: without ``trt_fp16_enable`` and ``trt_int8_enable`` the provider makes
    the network strongly typed, on TensorRT 10 as on 11, where there is nothing else.
    """
    return {
        "device_id": str(device),
        **profile(contract),
        "trt_engine_cache_enable": "1",
        # With a context model the provider takes a relative path alone: it is embedded.
        "trt_engine_cache_path": _ENGINES,
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(folder / CONTEXT),
        # The engine in a file of its own: embedded, onnxruntime would hash it at every load.
        "trt_ep_context_embed_mode": "0",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timing),
    }


def _build(
    folder: Path, model: Path, contract: Model, timing: Path, device: int, opener: Opener
) -> None:
    timing.mkdir(parents=True, exist_ok=True)
    (folder / _ENGINES).mkdir()
    options = build_options(folder, contract, timing, device)
    try:
        # TensorRT alone: of a model that is only partly TensorRT's there is no context model.
        session = opener(str(model), [(PROVIDER, options)])
        # Some releases build at the first run, and write when the session goes.
        session.run(None, {p.name: np.zeros(p.at("opt"), p.dtype) for p in contract.inputs})
        del session
    except Exception as error:  # onnxruntime raises a dozen types with no common root
        raise EngineError(f"TensorRT cannot build {contract.name}: {error}") from error
    if not (folder / CONTEXT).is_file():
        raise EngineError(
            f"TensorRT does not take all of {contract.name}: no engine came out. Run it on cuda"
        )
