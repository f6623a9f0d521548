"""One ONNX model on the execution provider that was asked for, and on no other in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from engines.cache import Cache, default_cache
from engines.catalogue import Model
from engines.cores import usable_cores
from engines.errors import EngineError
from engines.manifest import Precision
from engines.onnx_session import OnnxSession, available
from engines.placement import Placement
from engines.tensorrt.direct import Direct, open_direct
from engines.tensorrt.direct import require as require_direct

__all__ = ["Provider", "Session", "require", "usable_cores"]

log = logging.getLogger("densefusion.engines")

Provider = Literal["cpu", "cuda", "tensorrt", "tensorrt-direct"]
"""The first three are onnxruntime's; the last is TensorRT without it (`engines.tensorrt`)."""


def require(provider: Provider) -> None:
    """Raises `EngineError` where this machine lacks what the provider takes, and names it."""
    if provider == "tensorrt-direct":
        require_direct()
    else:
        available(provider)


class Session:
    """A loaded model. `run` may be called from many threads at once and releases the GIL.

    Args:
        model: path of an ONNX file, or its bytes.
        provider: where it shall run; TensorRT takes a model whole or not at all.
        threads: intra-op threads of one `run`, 0 for all the cores that the process may use. One
            is best where several `run`s share the cores.
        allow_fallback: take the next provider (`tensorrt-direct`, `tensorrt`, `cuda`, `cpu`) where
            the one asked for cannot be had, and bear it that nodes of the model run on the CPU
            inside a GPU's session.
        contract: the model's entry in the catalogue; TensorRT needs it, for the bounds of its
            optimisation profile (`engines.catalogue.Model.bounded`).
        precision: what the ONNX file computes in.
        cache: where TensorRT's engines are kept; None: `engines.cache.default_cache`.
        device: number of the GPU.

    Attributes:
        provider: the provider that really runs.
        precision: as it was given.
        placement: nodes of the model by provider.
        inputs, outputs: names, in the model's order.
        metadata: the model's custom metadata.

    Raises:
        EngineError: the provider cannot be had, or the model cannot be loaded, or would run on
            another provider than was asked for.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        provider: Provider = "cpu",
        threads: int = 1,
        allow_fallback: bool = False,
        contract: Model | None = None,
        precision: Precision = "fp32",
        cache: Cache | None = None,
        device: int = 0,
    ) -> None:
        if provider not in get_args(Provider):
            known = ", ".join(get_args(Provider))
            raise EngineError(f"no such provider: {provider!r}; there are {known}")
        what = str(model) if isinstance(model, Path) else "model"
        cache = cache or default_cache()
        backend: Direct | OnnxSession | None = None
        if provider == "tensorrt-direct":
            try:
                backend = open_direct(model, contract, precision, cache, device)
            except EngineError as error:
                if not allow_fallback:
                    raise
                log.warning("going on with onnxruntime", extra={"model": what, "error": str(error)})
        if backend is None:
            backend = OnnxSession(
                model,
                provider="tensorrt" if provider == "tensorrt-direct" else provider,
                threads=threads,
                allow_fallback=allow_fallback,
                contract=contract,
                precision=precision,
                cache=cache,
                device=device,
            )
        self._backend = backend
        self.provider = cast(Provider, backend.provider)
        self.precision: Precision = precision
        self.placement: Placement = backend.placement
        self.inputs: list[str] = backend.inputs
        self.outputs: list[str] = backend.outputs
        self.metadata: Mapping[str, str] = backend.metadata
        log.info("model loaded", extra={
            "model": what, "provider": self.provider, "nodes": dict(self.placement.counts)
        })  # fmt: skip

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs, in the order of `outputs`.

        Raises:
            EngineError: the feeds do not fit the model, or the provider failed.
        """
        return self._backend.run(feeds)
