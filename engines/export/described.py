"""What the makers' files say of pictures and labels, in our own words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from engines.export.weights import processing
from engines.full.card import Picture

_RESAMPLING = {2: "bilinear", 3: "bicubic", "bilinear": "bilinear", "bicubic": "bicubic"}
_NONE: tuple[float, float, float] = (0.0, 0.0, 0.0)
_ONES: tuple[float, float, float] = (1.0, 1.0, 1.0)
_BLOCK = 1 << 20


def picture(folder: Path) -> tuple[Picture, tuple[float, Any, Any]]:
    """How a picture is prepared, and the scale, mean and deviation that the graph takes over.

    Raises:
        EngineError: the makers' file is missing, or asks for what is not built here.
    """
    asked = processing(folder)
    try:
        scale = asked["rescale_factor"] if asked.get("do_rescale", True) else 1.0
        normal = asked["do_normalize"]
        mean = tuple(asked["image_mean"]) if normal else _NONE
        deviation = tuple(asked["image_std"]) if normal else _ONES
        return _fit(asked), (float(scale), mean, deviation)
    except (KeyError, TypeError) as error:
        raise EngineError(f"the image processor's file in {folder} lacks {error}") from error


def _fit(asked: Mapping[str, Any]) -> Picture:
    size = asked["size"]
    resample = _RESAMPLING.get(asked["resample"])
    if resample is None or not asked.get("do_resize", True):
        raise EngineError(f"no way to resize as asked: resample {asked['resample']}")
    if asked.get("do_center_crop"):
        crop = asked["crop_size"]
        short = size["shortest_edge"] if isinstance(size, Mapping) else size
        if min(crop["height"], crop["width"]) > short:
            raise EngineError(f"a centre crop of {crop} out of a short side of {short}")
        return Picture(crop["height"], crop["width"], "crop", resample, short)  # type: ignore[arg-type]
    height, width = size["height"], size["width"]
    if asked.get("do_pad"):
        if height != width or resample != "bilinear":
            raise EngineError(f"padding to {height} x {width} by {resample} is not built")
        return Picture(height, width, "square", "bilinear")
    return Picture(height, width, "whole", resample)  # type: ignore[arg-type]


def labels(config: Any) -> list[str]:
    """A detector's classes, by index. Raises `EngineError` where the numbers have gaps."""
    named = {int(index): str(label) for index, label in config.id2label.items()}
    if sorted(named) != list(range(len(named))):
        raise EngineError(f"class numbers have gaps: {sorted(named)}")
    return [named[index] for index in range(len(named))]


def sha256(folder: Path) -> str:
    """Of the folder's weights, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
