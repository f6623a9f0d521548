"""Fixed buffers for batches of one shape: filled in place, run without an allocation."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engines import gpu
from engines.errors import EngineError

log = logging.getLogger("densefusion.engines")
_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
}
Pin = Callable[[int, int], Callable[[], None]]


class Binding:
    """Buffers bound to a session; page-locked, where it is a GPU's.

    For one thread at a time; several bindings of one session may run side by side.

    Args:
        session: an `onnxruntime.InferenceSession`.
        shapes: of every input.
        pin: page-locks the buffers, so that copies to and from a GPU skip the driver's staging
            buffer (`engines.gpu.pin`); None: they stay as they are.

    Attributes:
        inputs: arrays by name; write a batch into them.

    Raises:
        EngineError: the inputs are not the model's, or of a type that has no buffer here.
    """

    def __init__(
        self, session: Any, shapes: Mapping[str, tuple[int, ...]], pin: Pin | None = None
    ) -> None:
        self._session = session
        self._pin = pin
        self._bound = session.io_binding()
        wanted = {each.name: each for each in session.get_inputs()}
        if shapes.keys() != wanted.keys():
            raise EngineError(f"inputs are {', '.join(wanted)}, not {', '.join(shapes)}")
        sizes: dict[str, int] = {}
        self.inputs: dict[str, np.ndarray] = {}
        for name, shape in shapes.items():
            if len(shape) != len(wanted[name].shape):
                raise EngineError(f"{name}: {shape} for {wanted[name].shape}")
            sizes |= {k: v for k, v in zip(wanted[name].shape, shape, strict=True) if k != v}
            array = self._buffer(shape, wanted[name].type)
            self.inputs[name] = array
            self._bound.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self._outputs: list[np.ndarray | None] = []
        for each in session.get_outputs():
            shape = tuple(sizes.get(size, size) for size in each.shape)
            if not all(isinstance(size, int) for size in shape):
                # Known only after a run: onnxruntime allocates.
                self._bound.bind_output(each.name, "cpu")
                self._outputs.append(None)
                continue
            array = self._buffer(shape, each.type)
            self._bound.bind_output(
                each.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
            )
            self._outputs.append(array)

    def run(self) -> list[np.ndarray]:
        """All outputs for what `inputs` hold now, in the model's order; valid until the next run.

        Raises:
            EngineError: the provider failed.
        """
        try:
            self._session.run_with_iobinding(self._bound)
            self._bound.synchronize_outputs()
            made = self._bound.get_outputs()
            return [
                value.numpy() if own is None else own
                for own, value in zip(self._outputs, made, strict=True)
            ]
        except Exception as error:  # onnxruntime raises a dozen types with no common root
            raise EngineError(f"inference failed: {error}") from error

    def _buffer(self, shape: tuple[int, ...], kind: str) -> np.ndarray:
        if kind not in _TYPES:
            raise EngineError(f"no buffer for a {kind}")
        array = np.zeros(shape, _TYPES[kind])
        if self._pin is not None and array.nbytes:
            try:
                unpin = self._pin(array.ctypes.data, array.nbytes)
            except EngineError as error:
                log.warning(
                    "buffers not page-locked, copies are slower", extra={"error": str(error)}
                )
                self._pin = None
            else:
                weakref.finalize(array, _quietly, unpin)
        return array


def _quietly(unpin: Callable[[], None]) -> None:
    """At the interpreter's end CUDA may be gone before the buffer is."""
    try:
        unpin()
    except EngineError:
        log.debug("a buffer was not unlocked", exc_info=True)


def pin_for(provider: str) -> Pin | None:
    """What page-locks buffers for a provider; None for the CPU's."""
    return None if provider == "cpu" else gpu.pin
