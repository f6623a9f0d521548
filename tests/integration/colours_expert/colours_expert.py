"""An expert from another package: which plain colours an image has most of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from consumers.expert import Findings, Sighting
from densefusion.settings import Experts

_PLAIN = {
    "black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": (200, 30, 30),
    "green": (40, 140, 40), "blue": (40, 80, 200), "brown": (110, 70, 35), "yellow": (230, 210, 50),
}  # fmt: skip


class Colours:
    name: ClassVar[str] = "colours"
    title: ClassVar[str] = "Main Colours"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = 64
    model = "nearest-plain-colour"
    model_version = "1"

    def __init__(self, settings: Experts) -> None: ...

    @staticmethod
    def schema() -> dict[str, Any]:
        file = Path(__file__).with_name("colours.avsc")
        schema: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return schema

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def find(self, sighting: Sighting) -> Findings:
        assert sighting.pixels is not None
        few = sighting.pixels[::16, ::16].reshape(-1, 1, 3).astype(float)
        names = list(_PLAIN)
        nearest = np.linalg.norm(few - np.array([_PLAIN[n] for n in names]), axis=2).argmin(axis=1)
        shares = np.bincount(nearest, minlength=len(names)) / len(nearest)
        order = sorted(range(len(names)), key=lambda i: -shares[i])[:3]
        return {"colours": [{"name": names[i], "share": float(shares[i])} for i in order]}

    def describe(self, findings: Mapping[str, Any]) -> Sequence[str]:
        return [f"{each['name']} {each['share']:.0%}" for each in findings["colours"]]
