"""The dozen calls of CUDA's runtime that an executor needs, by ctypes.

Source: CUDA Runtime API 12 and 13: memory management, stream management, graph management.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from engines.errors import EngineError
from engines.gpu import RUNTIME, Loader, library

_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_THREAD_LOCAL = 1  # cudaStreamCaptureMode: other threads' calls do not break the capture
_Pointer = ctypes.c_void_p


class Cuda:
    """One stream of one device. Pointers and handles are integers.

    Raises:
        EngineError: there is no CUDA runtime or no such device; from every method: the call failed.
    """

    def __init__(self, device: int = 0, load: Loader = ctypes.CDLL) -> None:
        found = library(RUNTIME, load)
        if found is None:
            raise EngineError(f"no CUDA runtime: cannot load {RUNTIME[0]}")
        self._runtime: Any = found
        self._device = device
        self.use()
        self.stream = self._made("cudaStreamCreate")

    def use(self) -> None:
        """Make it the device of the calling thread, as a run wants it; each thread starts at 0."""
        self._call("cudaSetDevice", ctypes.c_int(self._device))

    def device_memory(self, size: int) -> int:
        return self._made("cudaMalloc", ctypes.c_size_t(max(1, size)))

    def host_memory(self, size: int) -> int:
        """Page-locked memory."""
        return self._made("cudaMallocHost", ctypes.c_size_t(max(1, size)))

    def free(self, device: int) -> None:
        self._call("cudaFree", _Pointer(device))

    def free_host(self, host: int) -> None:
        self._call("cudaFreeHost", _Pointer(host))

    def upload(self, device: int, host: int, size: int) -> None:
        """Queue a copy to the device."""
        self._copy(device, host, size, _TO_DEVICE)

    def download(self, host: int, device: int, size: int) -> None:
        """Queue a copy to the host."""
        self._copy(host, device, size, _TO_HOST)

    def synchronize(self) -> None:
        self._call("cudaStreamSynchronize", _Pointer(self.stream))

    def capture(self, work: Callable[[], None]) -> int:
        """What `work` queues, as a graph that can be launched."""
        stream = _Pointer(self.stream)
        self._call("cudaStreamBeginCapture", stream, ctypes.c_int(_THREAD_LOCAL))
        graph = _Pointer()
        try:
            work()
        except BaseException:
            # Ends the capture; that it was spoilt is no news.
            self._runtime.cudaStreamEndCapture(stream, ctypes.byref(graph))
            raise
        self._call("cudaStreamEndCapture", stream, ctypes.byref(graph))
        ready = self._made("cudaGraphInstantiate", graph, ctypes.c_ulonglong(0))
        self._call("cudaGraphDestroy", graph)
        return ready

    def launch(self, graph: int) -> None:
        self._call("cudaGraphLaunch", _Pointer(graph), _Pointer(self.stream))

    def forget(self, graph: int) -> None:
        self._call("cudaGraphExecDestroy", _Pointer(graph))

    def close(self) -> None:
        self._call("cudaStreamDestroy", _Pointer(self.stream))

    def _copy(self, to: int, of: int, size: int, kind: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            _Pointer(to),
            _Pointer(of),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            _Pointer(self.stream),
        )

    def _made(self, name: str, *arguments: Any) -> int:
        """A call whose first argument is where the handle goes."""
        handle = _Pointer()
        self._call(name, ctypes.byref(handle), *arguments)
        return handle.value or 0

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._runtime, name)(*arguments)
        if code != 0:
            raise EngineError(f"{name} failed: CUDA error {code}")
