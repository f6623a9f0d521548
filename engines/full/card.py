"""What an export writes beside its ONNX file, for whoever runs it: the model's card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from engines.errors import EngineError

FILE = "card.json"


@dataclass(frozen=True, slots=True)
class Picture:
    """How a picture becomes the input, `height` x `width`.

    Attributes:
        fit: ``whole``: the whole picture, squeezed; ``square``: padded to the right and below with
            black to a square, then scaled; ``crop``: scaled until the shorter side is `short_side`,
            then the centre.
        resample: ``bilinear`` or ``bicubic``.
        short_side: of ``crop``.
    """

    height: int
    width: int
    fit: Literal["whole", "square", "crop"]
    resample: Literal["bilinear", "bicubic"]
    short_side: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """Attributes:
    source: what was exported: the folder's name.
    sha256: of the weights that it was exported from.
    picture: None for a text tower.
    labels: a detector's classes, by index.
    scale, bias: of SigLIP's logits: scale * cosine + bias.
    """

    source: str
    sha256: str
    picture: Picture | None = None
    labels: list[str] = field(default_factory=list)
    scale: float = 1.0
    bias: float = 0.0

    def write(self, model: Path) -> None:
        """Beside the ONNX file `model`."""
        (model.parent / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @staticmethod
    def read(model: Path) -> Card:
        """The card beside the ONNX file `model`.

        Raises:
            EngineError: there is none, or it is not one of ours.
        """
        path = model.parent / FILE
        try:
            values: dict[str, Any] = json.loads(path.read_text("utf-8"))
            picture = values.pop("picture")
            return Card(picture=Picture(**picture) if picture else None, **values)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise EngineError(f"{path} is no model's card, export it again: {error}") from error

    def pictured(self) -> Picture:
        """`picture`. Raises `EngineError` where this is the card of a text tower."""
        if self.picture is None:
            raise EngineError(f"{self.source} takes no pictures")
        return self.picture
