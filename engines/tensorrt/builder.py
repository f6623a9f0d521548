"""From an ONNX file to a TensorRT plan with one optimisation profile for each batch bucket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.catalogue import Model, Range
from engines.errors import EngineError
from engines.tensorrt.library import tensorrt


def build(
    path: Path,
    contract: Model,
    buckets: Sequence[int],
    *,
    timing: Path | None = None,
    workspace: int = 1 << 30,
    trt: Any = None,
) -> bytes:
    """The serialized engine. It takes minutes; it belongs in `engines.cache`.

    The network is strongly typed: precision is what the ONNX file says (TensorRT 11 knows no other
    way, TensorRT 10 is told by a flag).

    Args:
        contract: the model's entry in the catalogue; every axis but the batch has one size.
        buckets: batch sizes, each of which is tuned for by itself.
        timing: file of the timing cache; read if it is there, written afterwards.
        workspace: bytes of GPU memory that a layer may use for scratch.
        trt: the module ``tensorrt``.

    Raises:
        EngineError: tensorrt is missing, or cannot parse or build the model.
    """
    shapes = [bucket_shapes(contract, rows) for rows in buckets]
    if not shapes:
        raise EngineError("no batch sizes to build for")
    trt = trt or tensorrt()
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"TensorRT cannot parse {path}: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    for each in shapes:
        profile = builder.create_optimization_profile()
        for name, shape in each.items():
            profile.set_shape(name, shape, shape, shape)
        if config.add_optimization_profile(profile) < 0:
            raise EngineError(f"TensorRT does not take the shapes {each} for {contract.name}")
    known = timing.read_bytes() if timing is not None and timing.is_file() else b""
    timings = config.create_timing_cache(known)
    config.set_timing_cache(timings, False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"TensorRT cannot build {path}: its log says why")
    if timing is not None:
        timing.parent.mkdir(parents=True, exist_ok=True)
        fresh = timing.with_suffix(".new")
        fresh.write_bytes(bytes(timings.serialize()))
        fresh.replace(timing)
    return bytes(plan)


def bucket_shapes(contract: Model, rows: int) -> dict[str, tuple[int, ...]]:
    """Each input's shape in a batch of `rows`.

    Raises:
        EngineError: an axis other than the batch is dynamic; a graph's shapes are fixed.
    """
    if contract.batch_axis is None:
        raise EngineError(f"{contract.name} takes batches of one size")
    bounded = contract.bounded(**{contract.batch_axis: Range(rows, rows, rows)})
    for port in bounded.inputs:
        for axis, bounds in port.axes.items():
            if bounds.min != bounds.max:
                raise EngineError(f"{contract.name}: {axis} is {bounds}; buckets want one size")
    return {port.name: port.at("max") for port in bounded.inputs}
