"""INT8 by pairs of QuantizeLinear and DequantizeLinear, ranges measured on pictures.

onnxruntime's ``quantize_static`` measures and converts in one go. Here they are two steps, of the
same tools, so that ranges that were measured once serve on every machine.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from engines.errors import EngineError
from engines.optimise.precision import Calibration, Feeds

_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# Where the time goes. Between two of them a Q/DQ pair only costs, on a CPU and on a GPU.
WEIGHTY = ("Conv", "MatMul", "Gemm")
# What lies between them and has integer kernels: one float island more is two conversions more.
BETWEEN = (
    *("Add", "Mul", "Relu", "Clip", "Concat", "Resize"),
    *("MaxPool", "AveragePool", "GlobalAveragePool"),
)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Sequence[Feeds], name: str) -> None:
        self._feeds: Iterator[Feeds] = iter(feeds)
        self._name = name

    def get_next(self) -> dict[str, np.ndarray] | None:
        feed = next(self._feeds, None)
        if feed is None:
            return None
        return {self._name: feed} if isinstance(feed, np.ndarray) else dict(feed)


def measure(model: Path, calibration: Calibration) -> dict[str, tuple[float, float]]:
    """Least and greatest value of each tensor that may be turned to 8 bits."""
    name = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            model,
            [*WEIGHTY, *BETWEEN],
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=_METHODS[calibration.method],
            extra_options={"percentile": 99.999} if calibration.method == "percentile" else {},
        )
        calibrator.collect_data(_Reader(calibration.feeds, name))
        found = calibrator.compute_data()
    pairs = ((name, found[name].range_value) for name in found.keys())  # noqa: SIM118 - no dict
    return {name: (_number(low), _number(high)) for name, (low, high) in pairs}


def convert(
    model: Path,
    target: Path,
    ranges: Mapping[str, tuple[float, float]],
    keep: Sequence[str],
    *,
    symmetric: bool,
) -> None:
    """Write `model` with Q/DQ pairs; weights per channel, the nodes `keep` in float32.

    Raises:
        EngineError: a tensor has no range.
    """
    loaded = onnx.shape_inference.infer_shapes(onnx.load(model))
    data = {name: tuple(np.array(each, np.float32) for each in ranges[name]) for name in ranges}
    for node in loaded.graph.node:  # the tool takes it from there, but looks for one here too
        if node.op_type in {"Relu", "Clip"} and node.output[0] in data:
            data.setdefault(node.input[0], data[node.output[0]])
    log = logging.getLogger()  # the tool warns on the root logger of what `folding` has done
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        quantizer = QDQQuantizer(
            loaded,
            True,  # weights per channel
            False,  # all eight bits
            QuantType.QInt8,
            QuantType.QInt8 if symmetric else QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, data),
            [],
            list(keep),
            [*WEIGHTY, *BETWEEN],
            {"ActivationSymmetric": symmetric},
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(target), False)
    except (KeyError, ValueError) as error:  # says which tensor
        raise EngineError(f"the ranges do not fit {model.name}: {error}") from error
    finally:
        log.setLevel(level)


def _number(value: np.ndarray) -> float:
    return float(np.asarray(value).ravel()[0])
