"""Where JPEGs are decoded: on the CPU, or by nvJPEG on the GPU, behind one call.

nvImageCodec's interface: https://docs.nvidia.com/cuda/nvimagecodec/py_api.html (0.5 to 0.9). Only
its defaults are used, which are the same in all of these: 8 bits, RGB, H x W x 3, upright.
"""

from __future__ import annotations

import threading
from typing import Any, Literal, Protocol

import numpy as np

from engines import images
from engines.errors import EngineError

Where = Literal["cpu", "nvjpeg"]
_JPEG_MODES = ("RGB", "L")


class Decode(Protocol):
    """Bytes to pixels, from any thread; see `engines.images.decode`."""

    def __call__(self, data: bytes, *, min_side: int | None = None) -> np.ndarray: ...


def decoder(where: Where) -> Decode:
    """What decodes there.

    Raises:
        EngineError: the package, the driver or the GPU for it is missing.
    """
    return NvJpeg() if where == "nvjpeg" else images.decode


class NvJpeg:
    """Decodes whole JPEGs on the GPU, and all that nvJPEG does not take on the CPU: other formats,
    CMYK, and files with a fault, of which `images.decode` knows what can be borne.

    It gives pixels in main memory, and always all of them: nvJPEG scales no DCT. It takes the load
    off the cores, and pays where these are what is short.

    Raises:
        EngineError: the package, the driver or the GPU is missing.
    """

    def __init__(self) -> None:
        try:
            from nvidia import nvimgcodec
        except ImportError as error:
            raise EngineError(
                "decoding on the GPU needs nvImageCodec: pip install "
                f'"nvidia-nvimgcodec-cu12[nvjpeg]" (cu13 for CUDA 13) ({error})'
            ) from error
        self._nvimgcodec: Any = nvimgcodec
        # Nothing says that a decoder may be shared: one for each thread that decodes.
        self._own = threading.local()
        self._backends = [
            nvimgcodec.Backend(kind)
            for kind in (
                nvimgcodec.BackendKind.HW_GPU_ONLY,
                nvimgcodec.BackendKind.GPU_ONLY,
                nvimgcodec.BackendKind.HYBRID_CPU_GPU,
            )
        ]
        self._decoder()  # so that what is missing is said now

    def __call__(self, data: bytes, *, min_side: int | None = None) -> np.ndarray:
        """The picture: H x W x 3, uint8, RGB, contiguous, upright. Raises `ImageError`."""
        # Size, format and the number of scans are judged before anything is decoded.
        picture = images.open_header(data)
        whole = images.END_OF_IMAGE in data[-64:]
        if picture.format == "JPEG" and picture.mode in _JPEG_MODES and whole:
            image = self._decoder().decode(data)
            if image is not None:  # None: it cannot decode this one
                return np.ascontiguousarray(np.asarray(image.cpu()))
        return images.decode(data, min_side=min_side)

    def _decoder(self) -> Any:
        found = getattr(self._own, "decoder", None)
        if found is None:
            try:
                found = self._nvimgcodec.Decoder(backends=self._backends)
            except RuntimeError as error:  # it finds no driver, or no device
                raise EngineError(f"decoding on the GPU: {error}") from error
            self._own.decoder = found
        return found
