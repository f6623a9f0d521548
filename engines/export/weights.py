"""Loading a model's weights from a folder, all of them and nothing from anywhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.errors import EngineError

# By `model_type` of config.json. SigLIP 2's checkpoints of fixed resolution are of type siglip:
# the architecture is the first SigLIP's. NaFlex's, of type siglip2, take patches instead of images.
ARCHITECTURES: Mapping[str, str] = {
    "rt_detr": "RTDetrForObjectDetection",
    "rt_detr_v2": "RTDetrV2ForObjectDetection",
    "d_fine": "DFineForObjectDetection",
    "owlv2": "Owlv2ForObjectDetection",
    "siglip": "SiglipModel",
    "dinov2": "Dinov2Model",
}


def load(folder: Path, wanted: frozenset[str]) -> Any:
    """The `transformers` model in `folder` (config.json, *.safetensors), float32, for inference.

    Args:
        wanted: values of `model_type` that will do.

    Raises:
        EngineError: the folder lacks a file or a weight, or holds another model.
    """
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in wanted:
        raise EngineError(f"{folder} holds a model of type {kind}, not {', '.join(sorted(wanted))}")
    transformers = imported("transformers")
    architecture = getattr(transformers, ARCHITECTURES[kind])
    try:
        model, report = architecture.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,  # never a pickle, which would run a stranger's code
            output_loading_info=True,
            dtype="float32",
            # Plain MatMul and Softmax, which TensorRT fuses by itself.
            attn_implementation="eager",
        )
    except Exception as error:  # of a dozen kinds, with no common root
        raise EngineError(f"cannot load {folder}: {error}") from error
    # transformers fills what is missing with random numbers, and warns.
    lacking = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if lacking:
        raise EngineError(
            f"{folder}: {len(lacking)} weights are missing or misshapen: {', '.join(lacking[:5])}"
        )
    return model.eval()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `EngineError` where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise EngineError(f"{path} holds no JSON object")
    return found


def processing(folder: Path) -> dict[str, Any]:
    """How the model's makers prepare a picture: `preprocessor_config.json`, or the image
    processor's part of `processor_config.json`, in which transformers 5 writes it.

    Raises:
        EngineError: there is neither.
    """
    if not (folder / "preprocessor_config.json").exists():
        both = read_json(folder / "processor_config.json")
        if isinstance(found := both.get("image_processor"), dict):
            return found
    return read_json(folder / "preprocessor_config.json")


def imported(name: str) -> Any:
    """A package of the extra `export`. Raises `EngineError` where it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise EngineError(f"exporting needs {name}: pip install 'densefusion[export]'") from error
