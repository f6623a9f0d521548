"""TensorRT without onnxruntime behind `engines.session.Session`: the provider `tensorrt-direct`.

What it has over the provider of onnxruntime: a tuned profile and a CUDA graph for each batch
bucket. What it has not: models of which another size than the batch varies.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

import numpy as np
import onnxruntime as ort

from engines.cache import Cache
from engines.catalogue import Model
from engines.errors import EngineError
from engines.manifest import Manifest, Precision, manifest
from engines.placement import Placement
from engines.tensorrt.builder import build
from engines.tensorrt.executor import Executor
from engines.tensorrt.library import lacking
from engines.trt_provider import slot

log = logging.getLogger("densefusion.engines")

PROVIDER = "tensorrt-direct"
PLAN = "model.plan"
METADATA = "metadata.json"
_EXECUTORS = 2  # one's batch is on the GPU while the other's is copied
_PATIENCE = 300  # seconds that a batch waits for those before it
Execute = Callable[[bytes, Model, tuple[int, ...], int], list[Executor]]
Build = Callable[..., bytes]


class Direct:
    """A built model. Attributes and errors: `engines.session.Session`.

    Args:
        executors: over one engine; as many batches may be under way.
        contract: names the inputs and outputs; the plan's own order is TensorRT's.
    """

    provider = PROVIDER

    def __init__(
        self, executors: list[Executor], contract: Model, metadata: Mapping[str, str]
    ) -> None:
        self._contract = contract
        self.inputs = [port.name for port in contract.inputs]
        self.outputs = [port.name for port in contract.outputs]
        axis = contract.batch_axis
        self._batched = {port.name for port in contract.outputs if port.shape[0] == axis}
        self.metadata = metadata
        self.placement = Placement({"TensorRT": executors[0].layers}, {})
        self._idle: LifoQueue[Executor] = LifoQueue()
        for each in executors:
            self._capture(each)
            self._idle.put(each)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        rows = self._rows(feeds)
        try:
            executor = self._idle.get(timeout=_PATIENCE)
        except Empty:
            raise EngineError(f"{self._contract.name}: no batch ended in {_PATIENCE} s") from None
        try:
            buffers = executor.prepare(rows)
            for name, feed in feeds.items():
                buffers[name][:rows] = feed
            found = executor.execute()
            # Copies: the buffers are the next batch's. Rows beyond ours are what was left in them.
            return [
                np.array(found[name][:rows] if name in self._batched else found[name])
                for name in self.outputs
            ]
        except (KeyError, ValueError) as error:
            raise EngineError(f"inference failed on {PROVIDER}: {error!r}") from error
        finally:
            self._idle.put(executor)

    def _rows(self, feeds: Mapping[str, np.ndarray]) -> int:
        """Of the batch. Raises `EngineError` where the feeds are not the contract's."""
        ports = {port.name: port for port in self._contract.inputs}
        if feeds.keys() != ports.keys():
            raise EngineError(f"inputs are {', '.join(ports)}, not {', '.join(feeds)}")
        for name, feed in feeds.items():
            port = ports[name]
            if feed.shape[1:] != port.at("max")[1:] or feed.dtype != port.dtype:
                shape = ", ".join(map(str, feed.shape))
                raise EngineError(f"inference failed: {name} is {port}, not {feed.dtype}[{shape}]")
        (rows, *others) = {len(feed) for feed in feeds.values()}
        if others or not rows:
            raise EngineError(f"inference failed: batches of {sorted({rows, *others})} rows")
        return rows

    def _capture(self, executor: Executor) -> None:
        """A CUDA graph for every bucket, before the first batch comes."""
        for rows in self._contract.buckets:
            executor.prepare(rows)
            try:
                executor.capture()
            except EngineError as error:  # it holds something that no graph takes, such as a loop
                log.warning("running without CUDA graphs", extra={
                    "model": self._contract.name, "error": str(error)
                })  # fmt: skip
                return


def require(device: int = 0) -> None:
    """Raises `EngineError`, which names all that the machine lacks of what it takes."""
    if missing := lacking(device):
        raise EngineError(f"{PROVIDER} was asked for, and is not to be had: {'; '.join(missing)}")


def open_direct(
    model: Path | bytes,
    contract: Model | None,
    precision: Precision,
    cache: Cache,
    device: int,
    *,
    compile_: Build = build,
    execute: Execute | None = None,
) -> Direct:
    """The model as a TensorRT engine from the cache, or built now, which takes minutes.

    Args:
        compile_, execute: `engines.tensorrt.build`, and what makes executors of its plan.

    Raises:
        EngineError: the machine lacks what it takes (all of it is named); the model's sizes vary;
            the cache refuses; TensorRT cannot build or run it.
    """
    what = str(model) if isinstance(model, Path) else "model"
    if contract is None or not isinstance(model, Path):
        raise EngineError(f"{what}: {PROVIDER} wants a file and its entry in the catalogue")
    require(device)
    if not contract.buckets:
        raise EngineError(
            f"{contract.name}: another size than the batch varies, which no CUDA graph does; run "
            "it on tensorrt"
        )
    wanted = manifest(
        model,
        contract,
        provider=PROVIDER,
        precision=precision,
        options={"buckets": "/".join(map(str, contract.buckets))},
        device=device,
    )

    def make(folder: Path) -> None:
        timing = cache.folder / "timing" / _timing(wanted)
        (folder / PLAN).write_bytes(compile_(model, contract, contract.buckets, timing=timing))
        (folder / METADATA).write_text(json.dumps(_metadata(model)), "utf-8")

    place = cache.entry(slot(contract, PROVIDER, precision), wanted, make)
    executors = (execute or _executors)(
        (place / PLAN).read_bytes(), contract, contract.buckets, device
    )
    return Direct(executors, contract, json.loads((place / METADATA).read_text("utf-8")))


def _executors(
    plan: bytes, contract: Model, buckets: tuple[int, ...], device: int
) -> list[Executor]:
    first = Executor(plan, contract, buckets, device=device)
    return [first, *(first.twin() for _ in range(_EXECUTORS - 1))]


def _timing(wanted: Manifest) -> str:
    """A timing cache is of one kind of GPU and one TensorRT."""
    return f"{PROVIDER}-{wanted.tensorrt}-{wanted.hardware.replace(' ', '-')}.timing"


def _metadata(model: Path) -> dict[str, str]:
    """The ONNX file's own, which a plan does not keep."""
    options: Any = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)
