"""One ONNX model on the execution provider that was asked for, and on no other in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from engines.binding import Binding, pin_for
from engines.cache import Cache, default_cache
from engines.catalogue import Model
from engines.cores import usable_cores
from engines.eight_bits import multiplies_exactly
from engines.errors import EngineError
from engines.manifest import Precision
from engines.placement import RECORD, Placement, placement
from engines.trt_provider import built_engine

__all__ = ["Provider", "Session", "usable_cores"]

log = logging.getLogger("densefusion.engines")

Provider = Literal["cpu", "cuda", "tensorrt"]

# In order of preference. Arithmetic on shapes runs on the CPU by onnxruntime's design.
_CHAINS: Mapping[Provider, Sequence[str]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}
_NAMES: Mapping[str, Provider] = {chain[0]: name for name, chain in _CHAINS.items()}


class Session:
    """A loaded model. `run` may be called from many threads at once and releases the GIL.

    Args:
        model: path of an ONNX file, or its bytes.
        provider: where it shall run; `tensorrt` takes a model whole or not at all.
        threads: intra-op threads of one `run`, 0 for all the cores that the process may use. One
            is best where several `run`s share the cores.
        allow_fallback: take the next provider of the chain where the one asked for is missing, and
            bear it that nodes of the model run on the CPU inside a GPU's session.
        contract: the model's entry in the catalogue; TensorRT needs it, for the bounds of its
            optimisation profile (`engines.catalogue.Model.bounded`).
        precision: what the ONNX file computes in.
        cache: where TensorRT's engines are kept; None: `engines.cache.default_cache`.
        device: number of the GPU.

    Attributes:
        provider: the provider that really runs.
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
        chain = _available(provider, allow_fallback)
        what = str(model) if isinstance(model, Path) else "model"
        source = str(model) if isinstance(model, Path) else model
        options: dict[str, Mapping[str, Any]] = {}
        if chain[0] == _CHAINS["tensorrt"][0]:
            if contract is None or not isinstance(model, Path):
                raise EngineError(f"{what}: TensorRT wants a file and its entry in the catalogue")
            try:
                kept = cache or default_cache()
                engine = built_engine(model, contract, precision, kept, device, open_)
            except EngineError as error:
                if not allow_fallback:
                    raise
                log.warning("%s: %s; it goes on without TensorRT", what, error)
                chain = chain[1:]
            else:
                source, options[chain[0]] = str(engine.path), engine.options
        if "CUDAExecutionProvider" in chain:
            options["CUDAExecutionProvider"] = {"device_id": str(device)}
        try:
            self._session = open_(
                source, [(name, options.get(name, {})) for name in chain], threads
            )
        except Exception as error:  # onnxruntime raises a dozen types with no common root
            raise EngineError(f"cannot load {what} for {provider}: {error}") from error
        active: str = self._session.get_providers()[0]
        self.provider: Provider = _NAMES[active]
        if self.provider != provider and not allow_fallback:
            raise EngineError(
                f"{provider} was asked for, but {active} is what came up: {_CHAINS[provider][0]} "
                "failed to initialise (its driver or one of its libraries is missing)"
            )
        self.placement: Placement = placement(self._session)
        self._refuse_strays(what, allow_fallback)
        self.inputs: list[str] = [each.name for each in self._session.get_inputs()]
        self.outputs: list[str] = [each.name for each in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        log.info("%s runs on %s: nodes %s", what, self.provider, dict(self.placement.counts))

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs, in the order of `outputs`.

        Raises:
            EngineError: the feeds do not fit the model, or the provider failed.
        """
        try:
            found: list[np.ndarray] = self._session.run(None, dict(feeds))
        except Exception as error:
            raise EngineError(f"inference failed on {self.provider}: {error}") from error
        return found

    def bind(self, shapes: Mapping[str, tuple[int, ...]]) -> Binding:
        """Buffers for batches of these shapes, page-locked for a GPU.

        Args:
            shapes: of every input.

        Raises:
            EngineError: the shapes do not fit the model.
        """
        return Binding(self._session, shapes, pin_for(self.provider))

    def _refuse_strays(self, what: str, allow_fallback: bool) -> None:
        if self.provider == "cpu" or not self.placement.strays:
            return
        strays = ", ".join(f"{count} {op}" for op, count in sorted(self.placement.strays.items()))
        if not allow_fallback:
            raise EngineError(
                f"{what}: {self.provider} does not take these nodes, which fell back to the CPU: "
                f"{strays}. Allow the fallback to run it so"
            )
        log.warning("%s: on the CPU inside a session of %s: %s", what, self.provider, strays)


def open_(
    source: str | bytes, providers: Sequence[tuple[str, Mapping[str, Any]]], threads: int = 1
) -> Any:
    """An `onnxruntime.InferenceSession` with the options that every session here has."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    # Several processes share the cores: a thread with nothing to do must not burn one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not multiplies_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry(RECORD, "1")
    options.log_severity_level = 3
    session = ort.InferenceSession(
        source, sess_options=options, providers=[(name, dict(given)) for name, given in providers]
    )
    # Without this a failing run rebuilds the session on the CPU and says nothing.
    session.disable_fallback()
    return session


def _available(provider: Provider, allow_fallback: bool) -> list[str]:
    """The providers to ask onnxruntime for, checked against what this build of it has."""
    if provider not in _CHAINS:
        raise EngineError(f"no such provider: {provider!r}; there are {', '.join(_CHAINS)}")
    chain = _CHAINS[provider]
    built_in = ort.get_available_providers()
    missing = [name for name in chain if name not in built_in]
    if missing and not allow_fallback:
        raise EngineError(
            f"{provider} was asked for, but this onnxruntime {ort.__version__} lacks "
            f"{', '.join(missing)}; it has {', '.join(built_in)}. The package onnxruntime-gpu, in "
            "place of onnxruntime, brings the GPU's"
        )
    if provider != "cpu" and "CUDAExecutionProvider" in built_in:
        ort.preload_dlls()  # CUDA and cuDNN where they were installed as Python packages
    if provider == "tensorrt":
        with suppress(ImportError, OSError):
            import_module("tensorrt")  # so do TensorRT's libraries come, which ORT links against
    return [name for name in chain if name in built_in]
