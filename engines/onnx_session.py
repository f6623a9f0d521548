"""onnxruntime's session behind `engines.session.Session`: on its CPU, CUDA or TensorRT provider."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import onnxruntime as ort

from engines.binding import Binding, pin_for
from engines.cache import Cache
from engines.catalogue import Model
from engines.cores import usable_cores
from engines.eight_bits import multiplies_exactly
from engines.errors import EngineError
from engines.manifest import Precision
from engines.placement import RECORD, Placement, placement
from engines.trt_provider import built_engine

log = logging.getLogger("densefusion.engines")

# In order of preference. Arithmetic on shapes runs on the CPU by onnxruntime's design.
_CHAINS: Mapping[str, Sequence[str]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}
_NAMES: Mapping[str, str] = {chain[0]: name for name, chain in _CHAINS.items()}


class OnnxSession:
    """A model in onnxruntime. Arguments, attributes and errors: `engines.session.Session`.

    On a GPU a batch goes through page-locked buffers of its bucket's size (`Model.buckets`), bound
    to the session: cuDNN tunes itself for every shape that it has not met, which takes longer than
    many a batch; so there are few shapes, and all of them are met before the first real batch.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        provider: str,
        threads: int,
        allow_fallback: bool,
        contract: Model | None,
        precision: Precision,
        cache: Cache,
        device: int,
    ) -> None:
        chain = available(provider, allow_fallback)
        what = str(model) if isinstance(model, Path) else "model"
        source = str(model) if isinstance(model, Path) else model
        options: dict[str, Mapping[str, Any]] = {}
        if chain[0] == _CHAINS["tensorrt"][0]:
            if contract is None or not isinstance(model, Path):
                raise EngineError(f"{what}: TensorRT wants a file and its entry in the catalogue")
            try:
                engine = built_engine(model, contract, precision, cache, device, open_)
            except EngineError as error:
                if not allow_fallback:
                    raise
                log.warning("going on without TensorRT", extra={"model": what, "error": str(error)})
                chain = chain[1:]
            else:
                source, options[chain[0]] = str(engine.path), engine.options
        if "CUDAExecutionProvider" in chain:
            options["CUDAExecutionProvider"] = {"device_id": str(device)}
        try:
            self.session = open_(source, [(name, options.get(name, {})) for name in chain], threads)
        except Exception as error:  # onnxruntime raises a dozen types with no common root
            raise EngineError(f"cannot load {what} for {provider}: {error}") from error
        active: str = self.session.get_providers()[0]
        self.provider = _NAMES[active]
        if self.provider != provider and not allow_fallback:
            raise EngineError(
                f"{provider} was asked for, but {active} is what came up: {_CHAINS[provider][0]} "
                "failed to initialise (its driver or one of its libraries is missing)"
            )
        self.placement: Placement = placement(self.session)
        self._refuse_strays(what, allow_fallback)
        self.inputs: list[str] = [each.name for each in self.session.get_inputs()]
        self.outputs: list[str] = [each.name for each in self.session.get_outputs()]
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        self._contract = contract if self.provider != "cpu" else None
        self._bindings: defaultdict[int, SimpleQueue[Binding]] = defaultdict(SimpleQueue)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            if self._contract is not None and (size := _bucket(self._contract, feeds)):
                return self._bound(self._contract, size, feeds)
            found: list[np.ndarray] = self.session.run(None, dict(feeds))
        except Exception as error:
            raise EngineError(f"inference failed on {self.provider}: {error}") from error
        return found

    def _bound(
        self, contract: Model, size: int, feeds: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]:
        """Through buffers of that many rows, filled up with zeros; as many threads, as many."""
        idle = self._bindings[size]
        try:
            binding = idle.get_nowait()
        except Empty:
            shapes = {name: (size, *feed.shape[1:]) for name, feed in feeds.items()}
            binding = Binding(self.session, shapes, pin_for(self.provider))
        for name, feed in feeds.items():
            binding.inputs[name][: len(feed)] = feed
            binding.inputs[name][len(feed) :] = 0
        rows = len(next(iter(feeds.values())))
        batched = {p.name for p in contract.outputs if p.shape[0] == contract.batch_axis}
        found = [
            # A copy: the buffer is the next batch's.
            np.array(output[:rows] if name in batched else output)
            for name, output in zip(self.outputs, binding.run(), strict=True)
        ]
        idle.put(binding)
        return found

    def _refuse_strays(self, what: str, allow_fallback: bool) -> None:
        if self.provider == "cpu" or not self.placement.strays:
            return
        if not allow_fallback:
            nodes = sorted(self.placement.strays.items())
            strays = ", ".join(f"{count} {op}" for op, count in nodes)
            raise EngineError(
                f"{what}: {self.provider} does not take these nodes, which fell back to the CPU: "
                f"{strays}. Allow the fallback to run it so"
            )
        log.warning("nodes on the CPU inside a session of a GPU", extra={
            "model": what, "provider": self.provider, "nodes": dict(self.placement.strays)
        })  # fmt: skip


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


def _bucket(contract: Model, feeds: Mapping[str, np.ndarray]) -> int:
    """The smallest bucket that holds the batch; 0 where there is none, or the feeds are not the
    contract's, which onnxruntime says better."""
    sizes = {len(feed) for feed in feeds.values() if feed.ndim}
    ports = {port.name: port for port in contract.inputs}
    if len(sizes) != 1 or feeds.keys() != ports.keys():
        return 0
    for name, feed in feeds.items():
        if feed.dtype != ports[name].dtype or feed.shape[1:] != ports[name].at("max")[1:]:
            return 0
    rows = sizes.pop()
    return min((size for size in contract.buckets if size >= rows > 0), default=0)


def available(provider: str, allow_fallback: bool = False) -> list[str]:
    """The providers to ask onnxruntime for, checked against what this build of it has."""
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
