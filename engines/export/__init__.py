"""From PyTorch weights in a folder to ONNX files that a session runs.

Needs the extra `export` (torch, transformers, onnxscript); what runs the files does not.
"""

from engines.export.export import EXPORTS, export

__all__ = ["EXPORTS", "export"]
