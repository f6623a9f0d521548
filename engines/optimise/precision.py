"""One model at another precision: a new ONNX file beside the old one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from engines.errors import EngineError

Precision = Literal["fp32", "fp16", "int8"]
Method = Literal["minmax", "entropy", "percentile"]
Feeds = np.ndarray | Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What INT8's ranges are measured on.

    Attributes:
        feeds: one for each run: an array for the model's only input, or arrays by input name. Of
            the user's own pictures, prepared as in service; some tens are enough.
        method: `minmax` keeps every value seen, `percentile` all but the farthest 1 in 100,000,
            `entropy` the range whose 8 bits keep most of the distribution (TensorRT's own way).
            The last two are slow and hold every activation of all the runs in memory.
    """

    feeds: Sequence[Feeds]
    method: Method = "minmax"


@dataclass(frozen=True, slots=True)
class Ranges:
    """INT8's ranges, measured beforehand.

    Attributes:
        of: least and greatest value of each tensor, by its name.
    """

    of: Mapping[str, tuple[float, float]]


def optimise(
    model: Path,
    precision: Precision,
    target: Path,
    *,
    calibration: Calibration | Ranges | None = None,
    keep: Sequence[str] = (),
    symmetric: bool = False,
) -> Path:
    """Write `model` at another precision to `target`, whole or not at all.

    Inputs, outputs and metadata stay as they are.

    Args:
        model: an ONNX file of float32, or with float16 weights behind casts.
        precision: `fp32` only folds constants and raises the opset.
        target: the file to write.
        calibration: needed for `int8`.
        keep: names of nodes, or types of operators, that stay in float32.
        symmetric: zero points of 0 for activations: what TensorRT takes. A CPU computes faster
            and more exactly without.

    Returns:
        `target`.

    Raises:
        EngineError: a package is missing, the model cannot be read or converted, there is
            nothing to calibrate on, or `keep` names what the model does not have.
    """
    if precision == "int8" and not _measurable(calibration):
        raise EngineError("int8 needs pictures to measure its ranges on, and there are none")
    try:
        from engines.optimise import folding, half, quantise
    except ImportError as error:
        raise EngineError(f"optimising needs the package {error.name or 'onnx'}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    # Next to the target, so that the last step is a rename.
    with TemporaryDirectory(dir=target.parent, prefix=".optimise-") as folder:
        folded, made = Path(folder, "folded.onnx"), Path(folder, "made.onnx")
        try:
            nodes = folding.fold(model, folded)
            if precision == "fp32":
                made = folded
            elif precision == "fp16":
                half.convert(folded, made, folding.named(nodes, keep))
            elif calibration is not None:
                kept = folding.named(nodes, keep)
                if isinstance(calibration, Calibration):
                    calibration = Ranges(quantise.measure(folded, calibration))
                quantise.convert(folded, made, calibration.of, kept, symmetric=symmetric)
        except EngineError:
            raise
        except Exception as error:  # the tools' own errors have no common root
            what = f"{type(error).__name__}: {error}"[:500]
            raise EngineError(f"cannot convert {model.name} to {precision}: {what}") from error
        os.replace(made, target)
    return target


def _measurable(calibration: Calibration | Ranges | None) -> bool:
    if calibration is None:
        return False
    return bool(calibration.of if isinstance(calibration, Ranges) else calibration.feeds)
