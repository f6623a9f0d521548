"""TensorRT without onnxruntime: its own builder, its own execution, CUDA graphs.

Optional: the package ``tensorrt`` (10 or 11) and CUDA's runtime library are needed when it is used,
not when it is imported.

Source: docs.nvidia.com/deeplearning/tensorrt, Python API: Builder, OnnxParser, IBuilderConfig,
ICudaEngine, IExecutionContext; migration guide 10.x to 11.x.
"""

from engines.tensorrt.builder import build
from engines.tensorrt.executor import Executor

__all__ = ["Executor", "build"]
