"""INT8 by pairs of QuantizeLinear and DequantizeLinear, ranges measured on the user's pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

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


def convert(
    model: Path, target: Path, calibration: Calibration, keep: Sequence[str], *, symmetric: bool
) -> None:
    """Write `model` with Q/DQ pairs; weights per channel, the nodes `keep` in float32."""
    name = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    activations = QuantType.QInt8 if symmetric else QuantType.QUInt8
    extra = {"ActivationSymmetric": symmetric, "CalibPercentile": 99.999}
    log = logging.getLogger()  # the tool warns on the root logger of what `folding` has done
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        quantize_static(
            str(model),
            str(target),
            _Reader(calibration.feeds, name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*WEIGHTY, *BETWEEN],
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(keep),
            calibrate_method=_METHODS[calibration.method],
            extra_options=extra,
        )
    finally:
        log.setLevel(level)
