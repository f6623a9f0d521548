"""Where JPEGs are decoded. What needs NVIDIA's package, or a GPU, says so where it is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from engines import images
from engines.decoders import NvJpeg, decoder
from engines.errors import EngineError, ImageError

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = (EXAMPLES / "cat.jpg").read_bytes()


def _installed() -> bool:
    try:
        return find_spec("nvidia.nvimgcodec") is not None
    except ModuleNotFoundError:
        return False


def _gpu() -> NvJpeg | None:
    try:
        return NvJpeg()
    except EngineError:
        return None


needs_package = pytest.mark.skipif(not _installed(), reason="nvidia-nvimgcodec is not installed")


def test_the_cpu_is_plain_decoding() -> None:
    assert decoder("cpu") is images.decode


def test_a_missing_package_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    with pytest.raises(EngineError, match=r"pip install .nvidia-nvimgcodec"):
        decoder("nvjpeg")


@needs_package
def test_a_missing_gpu_is_an_error_and_not_the_cpu() -> None:
    if _gpu() is not None:
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match=r"decoding on the GPU: .*CUDA"):
        decoder("nvjpeg")


@needs_package
def test_the_gpu_sees_what_the_cpu_sees() -> None:
    gpu = _gpu()
    if gpu is None:
        pytest.skip("there is no GPU")
    for path in sorted(EXAMPLES.glob("*.jpg")):
        data = path.read_bytes()
        found, expected = gpu(data), images.decode(data)
        assert found.shape == expected.shape and found.flags.c_contiguous
        assert np.abs(found.astype(int) - expected).mean() < 2
    assert gpu(CAT[:-2]).shape == images.decode(CAT).shape
    with pytest.raises(ImageError):
        gpu(CAT[: len(CAT) // 2])
