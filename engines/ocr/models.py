"""Where the OCR's weights lie: inside the installed package ``rapidocr``, which is not imported."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from engines.errors import EngineError

PACKAGE = "rapidocr"
NAME = "PP-OCRv6-small"
# Detector, recogniser, classifier as the catalogue has them.
ENTRIES = ("pp-ocrv6-det-small", "pp-ocrv6-rec-small", "pp-ocr-cls-mobile")
DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
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


def weights_version(precision: str = "fp32") -> str:
    """Version of the package that the weights come with; and the precision where it is not FP32."""
    plain = f"{PACKAGE}-{version(PACKAGE)}"
    return plain if precision == "fp32" else f"{plain}-{precision}"
