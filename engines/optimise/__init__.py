"""Models made faster, and held against what they were: FP16, INT8, agreement with FP32.

Precision lies in the ONNX file, not in a builder's flag: TensorRT 11 has no such flags, and so
the same file means the same arithmetic on every provider. The tools of the package ``onnx`` are
needed to optimise, not to run what came of it.
"""

from engines.optimise.agreement import Agreement, agreement, check
from engines.optimise.precision import Calibration, Precision, Ranges, optimise

__all__ = ["Agreement", "Calibration", "Precision", "Ranges", "agreement", "check", "optimise"]
