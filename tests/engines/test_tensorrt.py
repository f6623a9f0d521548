"""TensorRT used directly: the calls it gets, in their order, for 10 and for 11.

Neither TensorRT nor CUDA can run here. `RecordedTensorRT` and `RecordedCuda` stand in for the few
calls that are used; they check what the documentation asks for: profiles chosen and shapes set
before addresses, a run outside before the capture.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.catalogue import Port, Range, catalogue
from engines.errors import EngineError
from engines.tensorrt import Executor, build
from engines.tensorrt.cuda import Cuda
from engines.tensorrt.library import tensorrt

STARTER = catalogue()["efficientnet-lite0"]
MODEL = replace(
    STARTER,
    inputs=(Port("image", "uint8", ("n", 2), {"n": Range(1, 2, 4)}),),
    outputs=(Port("sum", "float32", ("n",)),),
)


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
        assert stream == self._trt.cuda.stream
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

        def work() -> None:
            rows = self._trt.cuda.memory(self._addresses["image"], np.uint8)
            sums = self._trt.cuda.memory(self._addresses["sum"], np.float32)
            sums[:] = rows.reshape(self._shape).sum(1)

        self._trt.cuda.queue("run", work)
        return True


class RecordedCuda:
    """A test double of `engines.tensorrt.cuda.Cuda`: device memory is the host's, queues are lists.

    As on a stream, what is queued happens at `synchronize`; as in a capture, what is captured does
    not happen until it is launched.
    """

    stream = 77

    def __init__(self, trt: RecordedTensorRT) -> None:
        self._memory: dict[int, Any] = {}
        self._queue: list[Callable[[], None]] = []
        self._capturing: list[Callable[[], None]] | None = None
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self.log: list[str] = []
        self.closed = False

    def device_memory(self, size: int) -> int:
        buffer = ctypes.create_string_buffer(size)
        self._memory[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    host_memory = device_memory

    def memory(self, address: int, dtype: Any) -> np.ndarray:
        return np.frombuffer(self._memory[address], dtype)

    def free(self, address: int) -> None:
        del self._memory[address]

    free_host = free

    def queue(self, what: str, work: Callable[[], None]) -> None:
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
        self._capturing = []
        work()
        self._graphs[len(self._graphs) + 1] = self._capturing
        self._capturing = None
        return len(self._graphs)

    def launch(self, graph: int) -> None:
        self.log.append("launch")
        self._queue += self._graphs[graph]

    def forget(self, graph: int) -> None:
        del self._graphs[graph]

    def close(self) -> None:
        assert not self._memory
        assert not self._graphs
        self.closed = True


@pytest.mark.parametrize("version", ["10.0.1", "11.4.1"])
def test_builds_a_strongly_typed_network_with_a_profile_for_each_bucket(
    version: str, tmp_path: Path
) -> None:
    trt, timing = RecordedTensorRT(version), tmp_path / "gpu.timing"
    assert build(tmp_path / "m.onnx", MODEL, [1, 4], timing=timing, trt=trt) == b"plan"
    assert trt.flags == 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert trt.profiles == [{"image": ((1, 2),) * 3}, {"image": ((4, 2),) * 3}]
    assert timing.read_bytes() == b"timings of "
    build(tmp_path / "m.onnx", MODEL, [1], timing=timing, trt=trt)
    assert trt.timings == b"timings of "


def test_what_cannot_be_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot parse .*no such op: Swirl"):
        build(tmp_path / "m.onnx", MODEL, [1], trt=RecordedTensorRT(parses=False))
    with pytest.raises(EngineError, match="cannot build"):
        build(tmp_path / "m.onnx", MODEL, [1], trt=RecordedTensorRT(builds=False))
    with pytest.raises(EngineError, match="no batch sizes"):
        build(tmp_path / "m.onnx", MODEL, [], trt=RecordedTensorRT())
    with pytest.raises(EngineError, match="buckets want one size"):
        build(tmp_path / "m.onnx", catalogue()["pp-ocrv6-rec-small"], [1], trt=RecordedTensorRT())


def executor(trt: RecordedTensorRT) -> Executor:
    plan = build(Path("m.onnx"), MODEL, [2, 4], trt=trt)
    return Executor(plan, MODEL, [2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]


def test_takes_the_smallest_bucket_that_holds_the_batch() -> None:
    trt = RecordedTensorRT()
    with executor(trt) as engine:
        for rows, bucket in ((1, 2), (2, 2), (3, 4)):
            image = engine.prepare(rows)["image"]
            assert image.shape == (bucket, 2)
            image[:] = rows
            assert engine.execute()["sum"].tolist() == [2 * rows] * bucket
        with pytest.raises(EngineError, match="no bucket for 5"):
            engine.prepare(5)
    assert trt.cuda.closed
    assert "launch" not in trt.cuda.log


def test_a_captured_bucket_is_launched_as_one_graph() -> None:
    trt = RecordedTensorRT()
    with executor(trt) as engine:
        image = engine.prepare(4)["image"]
        engine.capture()
        engine.capture()
        trt.cuda.log.clear()
        for value in (3, 5):
            image[:] = value
            assert engine.execute()["sum"].tolist() == [2 * value] * 4
        assert trt.cuda.log == ["launch", "launch"]
        engine.prepare(1)["image"][:] = 1  # another bucket has no graph yet
        assert engine.execute()["sum"].tolist() == [2, 2]
        assert trt.cuda.log[2:] == ["upload", "run", "download"]
    assert trt.cuda.closed


def test_nothing_runs_unprepared() -> None:
    engine = executor(RecordedTensorRT())
    for call in (engine.execute, engine.capture):
        with pytest.raises(EngineError, match="prepare a bucket first"):
            call()


def test_a_plan_of_another_gpu_or_of_other_buckets_is_refused() -> None:
    trt = RecordedTensorRT()
    with pytest.raises(EngineError, match="2 profiles for 3 buckets"):
        Executor(b"plan", MODEL, [1, 2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]
    trt.takes_plan = False
    with pytest.raises(EngineError, match="another version, or for another GPU"):
        Executor(b"plan", MODEL, [2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"pip install 'densefusion\[gpu\]'"):
        build(Path("m.onnx"), MODEL, [1])


@pytest.mark.parametrize("version", ["8.6.1", "12.0.0"])
def test_other_versions_are_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=version))
    with pytest.raises(EngineError, match="is not 10 or 11"):
        tensorrt()


class CannedRuntime:
    """A test double of libcudart.so: says what was called, and fails where it is told to."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            return 1 if name == self._fails else 0

        return call


def test_a_capture_that_breaks_is_ended() -> None:
    runtime = CannedRuntime()
    cuda = Cuda(load=lambda name: runtime)

    def fail() -> None:
        raise EngineError("could not queue")

    with pytest.raises(EngineError, match="could not queue"):
        cuda.capture(fail)
    assert runtime.calls[-2:] == ["cudaStreamBeginCapture", "cudaStreamEndCapture"]
    cuda.capture(lambda: None)
    assert runtime.calls[-3:] == [
        "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphDestroy",
    ]  # fmt: skip


def test_cudas_errors_are_ours() -> None:
    with pytest.raises(EngineError, match="cudaStreamCreate failed: CUDA error 1"):
        Cuda(load=lambda name: CannedRuntime("cudaStreamCreate"))

    def nothing(name: str) -> Any:
        raise OSError(name)

    with pytest.raises(EngineError, match="no CUDA runtime"):
        Cuda(load=nothing)
