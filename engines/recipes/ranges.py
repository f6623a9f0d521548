"""What is known of a model's conversion to 8 bits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from engines.catalogue import Model
from engines.images import decode

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is turned to 8 bits for the CPU.

    Attributes:
        of: SHA-256 of the ONNX file that the ranges were measured on.
        keep: nodes, or types of operators, that stay in float32.
        ranges: least and greatest value of each tensor, by its name.
        digest: of all this, 16 hex digits.
    """

    of: str
    keep: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    digest: str


def place(name: str) -> Path:
    """The file of the recipe for the model `name`."""
    return HERE / f"{name}.json"


def recipe(model: Model) -> Recipe | None:
    """The model's recipe, if it has one."""
    return _read(model.name)


@cache
def _read(name: str) -> Recipe | None:
    try:
        text = place(name).read_bytes()
    except FileNotFoundError:
        return None
    entry = json.loads(text)
    ranges = {tensor: (low, high) for tensor, (low, high) in entry["ranges"].items()}
    digest = hashlib.sha256(text).hexdigest()[:16]
    return Recipe(entry["of"], tuple(entry["keep"]), ranges, digest)


def samples() -> list[np.ndarray]:
    """Pictures with objects and text, to compare the two precisions on: H x W x 3, uint8, RGB."""
    return [decode(path.read_bytes()) for path in sorted((HERE / "samples").glob("*.jpg"))]
