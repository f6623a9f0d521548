"""Where the OCR's weights lie.

Those of float32 inside the installed package ``rapidocr``, which is not imported; what was made of
them for the CPU, in 8 bits, beside ours, once `tests/benchmarks/quantise_ocr.py` has made it.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from engines.errors import EngineError

PACKAGE = "rapidocr"
NAME = "PP-OCRv6-small"
DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
_MADE_FROM = "3.10.0"
_OWN = Path(__file__).parents[1] / "weights"
CLASSIFIER = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"


def find(name: str) -> Path:
    """Path of one of the package's ONNX files.

    Raises:
        EngineError: the package is missing, or does not carry that file.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(f"the OCR's weights come with the package {PACKAGE}: it is not installed")
    path = Path(spec.submodule_search_locations[0], "models", name)
    if not path.is_file():
        raise EngineError(f"{PACKAGE} {version(PACKAGE)} does not carry {name}")
    return path


def quantised(name: str) -> Path:
    """Path of the 8-bit weights made of one of the package's first two files, if there are any."""
    return _OWN / f"{Path(name).stem.lower().replace('-', '_')}_int8.onnx"


def has_eight_bits() -> bool:
    """Whether the 8-bit weights have been made on this machine."""
    return quantised(DETECTOR).is_file() and quantised(RECOGNISER).is_file()


def weights_version(*, eight_bits: bool = False) -> str:
    """Version of the package that the weights come with, or that the 8-bit ones were made from."""
    return f"{PACKAGE}-{_MADE_FROM}-int8" if eight_bits else f"{PACKAGE}-{version(PACKAGE)}"
