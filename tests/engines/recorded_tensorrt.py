"""TensorRT and CUDA's runtime, which cannot run here: test doubles of the few calls that are used.

They check what the documentation asks for: profiles chosen and shapes set before addresses, a run
outside before the capture, the device chosen by each thread.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from engines.catalogue import Port, Range, catalogue
from engines.errors import EngineError

STARTER = catalogue()["efficientnet-lite0"]
# Two views of a picture: its buckets are 2 and 4 rows.
MODEL = replace(
    STARTER,
    inputs=(Port("image", "uint8", ("n", 2), {"n": Range(1, 2, 4)}),),
    outputs=(Port("sum", "float32", ("n",)),),
)
_streams = itertools.count(77)


class RecordedTensorRT:
    """A test double of the module ``tensorrt``, for a network that sums each row."""

    class Logger:
        WARNING = 2

        def __init__(self, level: int) -> None: ...

    class MemoryPoolType:
        WORKSPACE = 0

    class NetworkDefinitionCreationFlag:
        STRONGLY_TYPED = 1  # and no EXPLICIT_BATCH, which 11 lost

    def __init__(
        self, version: str = "11.0.0", *, parses: bool = True, builds: bool = True
    ) -> None:
        self.__version__ = version
        self.calls: list[Any] = []
        self.profiles: list[dict[str, Any]] = []
        self.flags = 0
        self._parses, self._builds = parses, builds
        self.streams: dict[int, RecordedCuda] = {}
        self.cuda = RecordedCuda(self)
        self.timings = b""
        self.takes_plan = True

    def Builder(self, logger: object) -> Any:
        return _Builder(self)

    def OnnxParser(self, network: object, logger: object) -> Any:
        return SimpleNamespace(
            parse_from_file=lambda path: self._parses,
            num_errors=1,
            get_error=lambda index: "no such op: Swirl",
        )

    def Runtime(self, logger: object) -> Any:
        return SimpleNamespace(
            deserialize_cuda_engine=lambda plan: _Engine(self) if self.takes_plan else None
        )

    @staticmethod
    def nptype(dtype: Any) -> Any:
        return dtype


class _Builder:
    def __init__(self, trt: RecordedTensorRT) -> None:
        self._trt = trt

    def create_network(self, flags: int) -> object:
        self._trt.flags = flags
        return object()

    def create_builder_config(self) -> _Config:
        return _Config(self._trt)

    def create_optimization_profile(self) -> Any:
        shapes: dict[str, Any] = {}
        self._trt.profiles.append(shapes)
        return SimpleNamespace(
            set_shape=lambda name, low, usual, high: shapes.update({name: (low, usual, high)})
        )

    def build_serialized_network(self, network: object, config: object) -> bytes | None:
        return b"plan" if self._trt._builds else None


class _Config:
    def __init__(self, trt: RecordedTensorRT) -> None:
        self._trt = trt
        self._profiles = 0

    def set_memory_pool_limit(self, pool: int, size: int) -> None: ...

    def add_optimization_profile(self, profile: object) -> int:
        self._profiles += 1
        return self._profiles - 1

    def create_timing_cache(self, blob: bytes) -> Any:
        self._trt.timings = blob
        return SimpleNamespace(serialize=lambda: memoryview(b"timings of " + blob))

    def set_timing_cache(self, cache: object, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return True


class _Engine:
    num_io_tensors = 2
    num_optimization_profiles = 2
    num_layers = 3

    def __init__(self, trt: RecordedTensorRT) -> None:
        self._trt = trt

    def get_tensor_name(self, index: int) -> str:
        return ["image", "sum"][index]

    def get_tensor_dtype(self, name: str) -> Any:
        return {"image": np.uint8, "sum": np.float32}[name]

    def create_execution_context(self) -> _Context:
        return _Context(self._trt)


class _Context:
    """Sums when it is run, from and to the addresses it was given."""

    def __init__(self, trt: RecordedTensorRT) -> None:
        self._trt = trt
        self._shape: tuple[int, ...] | None = None
        self._addresses: dict[str, int] = {}
        self._profile: int | None = None

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        assert stream in self._trt.streams
        self._profile = index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self._profile is not None, "a profile comes before shapes"
        low, _, high = self._trt.profiles[self._profile][name]
        self._shape = shape
        return all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self._shape is not None, "shapes come before outputs"
        return self._shape[:1]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert self._shape is not None
        cuda = self._trt.streams[stream]

        def work() -> None:
            rows = cuda.memory(self._addresses["image"], np.uint8)
            sums = cuda.memory(self._addresses["sum"], np.float32)
            sums[:] = rows.reshape(self._shape).sum(1)

        cuda.queue("run", work)
        return True


class RecordedCuda:
    """A test double of `engines.tensorrt.cuda.Cuda`: device memory is the host's, queues are lists.

    As on a stream, what is queued happens at `synchronize`; as in a capture, what is captured does
    not happen until it is launched.
    """

    def __init__(self, trt: RecordedTensorRT, *, captures: bool = True) -> None:
        self.stream = next(_streams)
        trt.streams[self.stream] = self
        self._captures = captures
        self._threads: set[int] = set()
        self._memory: dict[int, Any] = {}
        self._queue: list[Callable[[], None]] = []
        self._capturing: list[Callable[[], None]] | None = None
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self.log: list[str] = []
        self.closed = False

    def use(self) -> None:
        self._threads.add(threading.get_ident())

    def device_memory(self, size: int) -> int:
        assert threading.get_ident() in self._threads, "a thread chooses its device"
        buffer = ctypes.create_string_buffer(b"\xff" * size, size)  # memory is not clean
        self._memory[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    host_memory = device_memory

    def memory(self, address: int, dtype: Any) -> np.ndarray:
        return np.frombuffer(self._memory[address], dtype)

    def free(self, address: int) -> None:
        del self._memory[address]

    free_host = free

    def queue(self, what: str, work: Callable[[], None]) -> None:
        assert threading.get_ident() in self._threads, "a thread chooses its device"
        self.log.append(what)
        (self._queue if self._capturing is None else self._capturing).append(work)

    def upload(self, device: int, host: int, size: int) -> None:
        self.queue("upload", lambda: ctypes.memmove(device, host, size) and None)

    def download(self, host: int, device: int, size: int) -> None:
        self.queue("download", lambda: ctypes.memmove(host, device, size) and None)

    def synchronize(self) -> None:
        for work in self._queue:
            work()
        self._queue.clear()

    def capture(self, work: Callable[[], None]) -> int:
        assert "run" in self.log, "a run outside comes before a capture"
        if not self._captures:
            raise EngineError("cudaStreamEndCapture failed: CUDA error 901")
        self._capturing = []
        work()
        self._graphs[len(self._graphs) + 1] = self._capturing
        self._capturing = None
        return len(self._graphs)

    def launch(self, graph: int) -> None:
        assert threading.get_ident() in self._threads, "a thread chooses its device"
        self.log.append("launch")
        self._queue += self._graphs[graph]

    def forget(self, graph: int) -> None:
        del self._graphs[graph]

    def close(self) -> None:
        assert not self._memory
        assert not self._graphs
        self.closed = True
