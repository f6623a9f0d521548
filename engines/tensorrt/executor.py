"""Runs a TensorRT plan: fixed batch buckets, page-locked buffers, a CUDA graph for each bucket."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from engines.catalogue import Model
from engines.errors import EngineError
from engines.tensorrt.builder import bucket_shapes
from engines.tensorrt.cuda import Cuda
from engines.tensorrt.library import tensorrt


@dataclass(slots=True)
class _Buffer:
    host: int
    device: int
    array: np.ndarray  # the host's memory


@dataclass(slots=True)
class _Bucket:
    """A batch size: its execution context, its memory, and, once captured, its graph."""

    context: Any
    inputs: dict[str, _Buffer] = field(default_factory=dict)
    outputs: dict[str, _Buffer] = field(default_factory=dict)
    graph: int | None = None


class Executor:
    """`prepare` a bucket, fill the arrays it returns, `execute`. For one thread at a time.

    A bucket's first `execute` queues copy, kernels, copy one by one; after `capture` it launches
    all of them as one CUDA graph, which spares the CPU a launch for each kernel.

    Args:
        plan: what `engines.tensorrt.build` made, of the same contract and buckets.
        trt, cuda: the module ``tensorrt``, and CUDA's runtime.

    Raises:
        EngineError: tensorrt is missing, or the plan was built for another GPU or version.
    """

    def __init__(
        self,
        plan: bytes,
        contract: Model,
        buckets: Sequence[int],
        *,
        device: int = 0,
        trt: Any = None,
        cuda: Cuda | None = None,
    ) -> None:
        self._trt = trt or tensorrt()
        self._device = device
        self._cuda = cuda or Cuda(device)
        self._contract = contract
        self._sizes = list(buckets)
        self._runtime = self._trt.Runtime(self._trt.Logger(self._trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"TensorRT {self._trt.__version__} does not take the plan of {contract.name}: it "
                "was built by another version, or for another GPU"
            )
        if self._engine.num_optimization_profiles != len(self._sizes):
            raise EngineError(
                f"the plan of {contract.name} has {self._engine.num_optimization_profiles} "
                f"profiles for {len(self._sizes)} buckets"
            )
        self._buckets: dict[int, _Bucket] = {}
        self._current: _Bucket | None = None

    def twin(self, cuda: Cuda | None = None) -> Executor:
        """Another over the same engine, with buffers and a stream of its own: for another thread.

        Its contexts may be of the same profiles (TensorRT 10 on: profiles are shared).
        """
        twin = copy(self)
        twin._cuda = cuda or Cuda(self._device)
        twin._buckets, twin._current = {}, None
        return twin

    @property
    def layers(self) -> int:
        """Of the engine."""
        return int(self._engine.num_layers)

    def prepare(self, rows: int) -> Mapping[str, np.ndarray]:
        """Take the smallest bucket that holds `rows`.

        Returns:
            Arrays of the bucket's size to be filled, by input name; rows beyond `rows` are
            computed and mean nothing.

        Raises:
            EngineError: no bucket is so large.
        """
        fitting = [size for size in self._sizes if size >= rows]
        if not fitting:
            raise EngineError(f"no bucket for {rows}; there are {self._sizes}")
        size = min(fitting)
        self._cuda.use()
        if size not in self._buckets:
            self._buckets[size] = self._open(size)
        self._current = self._buckets[size]
        return {name: buffer.array for name, buffer in self._current.inputs.items()}

    def execute(self) -> Mapping[str, np.ndarray]:
        """Run the prepared bucket.

        Returns:
            Arrays by output name; valid until the bucket's next run.

        Raises:
            EngineError: nothing is prepared, or TensorRT or CUDA failed.
        """
        bucket = self._prepared()
        if bucket.graph is None:
            self._queue(bucket)
        else:
            self._cuda.launch(bucket.graph)
        self._cuda.synchronize()
        return {name: buffer.array for name, buffer in bucket.outputs.items()}

    def capture(self) -> None:
        """Record the prepared bucket's run as a CUDA graph. Raises `EngineError`."""
        bucket = self._prepared()
        if bucket.graph is not None:
            return
        # A first run outside: TensorRT sets itself up in it, by calls that no capture takes.
        self._queue(bucket)
        self._cuda.synchronize()
        bucket.graph = self._cuda.capture(lambda: self._queue(bucket))

    def close(self) -> None:
        """Give all memory back."""
        self._current = None
        for bucket in self._buckets.values():
            if bucket.graph is not None:
                self._cuda.forget(bucket.graph)
            for buffer in [*bucket.inputs.values(), *bucket.outputs.values()]:
                self._cuda.free(buffer.device)
                self._cuda.free_host(buffer.host)
        self._buckets.clear()
        self._cuda.close()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepared(self) -> _Bucket:
        if self._current is None:
            raise EngineError("prepare a bucket first")
        self._cuda.use()
        return self._current

    def _queue(self, bucket: _Bucket) -> None:
        for buffer in bucket.inputs.values():
            self._cuda.upload(buffer.device, buffer.host, buffer.array.nbytes)
        if not bucket.context.execute_async_v3(self._cuda.stream):
            raise EngineError(f"{self._contract.name}: TensorRT could not queue the run")
        for buffer in bucket.outputs.values():
            self._cuda.download(buffer.host, buffer.device, buffer.array.nbytes)

    def _open(self, size: int) -> _Bucket:
        context = self._engine.create_execution_context()
        if context is None:
            raise EngineError(f"{self._contract.name}: no memory for a batch of {size}")
        context.set_optimization_profile_async(self._sizes.index(size), self._cuda.stream)
        self._cuda.synchronize()
        bucket = _Bucket(context)
        shapes = bucket_shapes(self._contract, size)
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise EngineError(f"{self._contract.name}: TensorRT does not take {name} {shape}")
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            is_input = name in shapes
            shape = shapes[name] if is_input else tuple(context.get_tensor_shape(name))
            if any(each < 0 for each in shape):
                raise EngineError(f"{self._contract.name}: {name} depends on what is in the input")
            buffer = self._buffer(shape, self._trt.nptype(self._engine.get_tensor_dtype(name)))
            context.set_tensor_address(name, buffer.device)
            (bucket.inputs if is_input else bucket.outputs)[name] = buffer
        return bucket

    def _buffer(self, shape: tuple[int, ...], dtype: Any) -> _Buffer:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        host = self._cuda.host_memory(size)
        memory = (ctypes.c_uint8 * size).from_address(host)
        array = np.frombuffer(memory, dtype).reshape(shape)
        array[...] = 0  # what lies there may be no token's number
        return _Buffer(host, self._cuda.device_memory(size), array)
