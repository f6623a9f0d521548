"""Pictures for benchmarks: as many as wanted, each different, all made from examples/.

A picture is a crop of a photograph, resized as the web's are and encoded anew: 768 to 1024 pixels
on the long side, at least 448 on the short one, JPEG of quality 85 to 92. The same seed makes the
same pictures, as long as the libraries' versions are the same.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.Image import Resampling, Transpose

EXAMPLES = Path(__file__).parents[2] / "examples"
LIST_OF_EXAMPLES = "examples.jsonl"
LIST = "list.jsonl"
_LONG = (768, 1024)
_SHORT = 448
_QUALITY = (85, 92)
_LEAST_KEPT = 0.7  # of each side, by a crop


def make(folder: Path, count: int, *, seed: int) -> list[dict[str, Any]]:
    """Fill `folder` with `count` pictures and a list of them that `densefusion run` reads.

    Returns the rows of the list: file name, alternative text, page.

    Raises:
        FileNotFoundError: examples/ has no list of its photographs.
    """
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    examples = [json.loads(line) for line in (EXAMPLES / LIST_OF_EXAMPLES).open(encoding="utf-8")]
    rows = []
    for number in range(count):
        example = examples[number % len(examples)]
        with Image.open(EXAMPLES / example["url"]) as photograph:
            picture = _variant(photograph.convert("RGB"), chance)
        name = f"{number:05d}-{example['url']}"
        picture.save(folder / name, quality=chance.randint(*_QUALITY))
        rows.append({**example, "url": name})
    (folder / LIST).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return rows


def _variant(photograph: Image.Image, chance: random.Random) -> Image.Image:
    """A crop of `photograph` at a size of its own, now and then mirrored."""
    long = chance.randint(*_LONG)
    width, height = (round(side * chance.uniform(_LEAST_KEPT, 1)) for side in photograph.size)
    most = int(min(width, height) * long / _SHORT)  # so that the short side stays long enough
    width, height = min(width, most), min(height, most)
    left = chance.randint(0, photograph.width - width)
    top = chance.randint(0, photograph.height - height)
    scale = long / max(width, height)
    size = (round(width * scale), round(height * scale))
    box = (left, top, left + width, top + height)
    picture = photograph.resize(size, Resampling.LANCZOS, box=box)
    # Seldom, since text is to stay readable for OCR to have its usual work.
    return picture.transpose(Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.2 else picture
