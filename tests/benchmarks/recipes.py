"""Writes the recipes by which a user's machine makes 8-bit weights (engines/recipes).

    python tests/benchmarks/recipes.py            # all, or name models

Ranges are measured on pictures of another seed than the benchmarks': text that is made, and crops
of examples/. Each conversion is then held against FP32 on pictures of a third seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, cast

import lettering
import numpy as np
import onnx
import photographs
import typer
from PIL import Image
from PIL.Image import Resampling

from engines.catalogue import Model, catalogue, locate
from engines.images import decode
from engines.manifest import sha256
from engines.ocr.detector import TextDetector
from engines.optimise import Calibration, Ranges, agreement, optimise
from engines.optimise.folding import fold
from engines.optimise.quantise import measure
from engines.recipes.ranges import HERE, place
from engines.session import Session

SEED, CHECKED = 99, 7
RUNS = 80  # that ranges are measured on
SIDES = (768, 448)
DIGITS = 6
FREE = ("cat", "coffee", "raccoon", "retina")  # public domain or CC0
SAMPLES, SAMPLES_SEED, LARGEST = (4, 7, 13, 18, 22), 3, 800
LAST = {  # convolutions at the end that stay in float32, and other nodes, by type
    # Full stops get lost and spaces come and go without these.
    "pp-ocrv6-rec-small": (4, ("MatMul", "Add", "Mul")),
    "pp-ocrv6-det-small": (0, ()),
    "coco-ssdlite-mobilenet-v2": (0, ()),
    "efficientnet-lite0": (0, ()),
}


class Recorder:
    """A session that keeps what it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.feeds: list[Mapping[str, np.ndarray]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.feeds.append({name: np.array(array) for name, array in feeds.items()})
        return self._session.run(feeds)


def pictures(seed: int, written: int, plain: int) -> list[np.ndarray]:
    """So many with text that is made, and so many crops of photographs."""
    with tempfile.TemporaryDirectory() as place_:
        folder = Path(place_)
        photographs.make(folder, plain, seed=seed)
        crops = [decode(path.read_bytes()) for path in sorted(folder.glob("*.jpg"))]
    return [decode(each.jpeg) for each in lettering.make(written, seed=seed)] + crops


def kept(folded: Path, count: int, others: Iterable[str]) -> list[str]:
    """The last `count` convolutions by name, and the types `others`."""
    names = [node.name for node in onnx.load(folded).graph.node if node.op_type == "Conv"]
    return [*others, *(names[-count:] if count else [])]


def feeds(model: Model, reference: Session) -> list[Mapping[str, np.ndarray]]:
    """What the model is given in service for some pictures, at random."""
    recorder = Recorder(reference)
    session = cast(Session, recorder)
    if model.task == "ocr-detection":  # in service it looks at reduced pictures, and at parts
        for number, image in enumerate(pictures(SEED, 40, 24)):
            TextDetector(session, max_side=SIDES[number % len(SIDES)]).detect([image])
    elif model.task == "ocr-recognition":
        agreement(model.task, reference, session, pictures(SEED, 40, 0))
    else:
        agreement(model.task, reference, session, pictures(SEED, 24, 48))
    order = np.random.default_rng(0).permutation(len(recorder.feeds))[:RUNS]
    return [recorder.feeds[index] for index in order]


def write(name: str) -> None:
    model = catalogue()[name]
    original = locate(model)
    reference = Session(original, threads=0)
    count, others = LAST[name]
    with tempfile.TemporaryDirectory() as folder:
        folded, made = Path(folder, "folded.onnx"), Path(folder, "made.onnx")
        fold(original, folded)
        keep = kept(folded, count, others)
        ranges = measure(folded, Calibration(feeds(model, reference)))
        rounded = {
            tensor: [float(f"{value:.{DIGITS}g}") for value in pair]
            for tensor, pair in ranges.items()
        }
        optimise(original, "int8", made, calibration=Ranges(ranges), keep=keep)
        eight = Session(made, threads=0)
        # Only what is used: the rest would make the file long.
        used = {
            node.input[0] for node in onnx.load(made).graph.node if node.op_type == "QuantizeLinear"
        }
        entry = {
            "of": sha256(original),
            "keep": keep,
            "ranges": {tensor: rounded[tensor] for tensor in sorted(used & rounded.keys())},
        }
        found = agreement(model.task, reference, eight, pictures(CHECKED, 12, 12))
    place(name).write_text(json.dumps(entry, indent=0) + "\n", "utf-8")
    print(f"{name}: {len(entry['ranges'])} ranges, {found}", flush=True)


def write_samples() -> None:
    """The pictures that a conversion is compared on, on the machine that makes it."""
    lettering.PLAIN = FREE
    made = lettering.make(max(SAMPLES) + 1, seed=SAMPLES_SEED)
    for number in SAMPLES:
        with Image.open(BytesIO(made[number].jpeg)) as picture:
            picture.thumbnail((LARGEST, LARGEST), Resampling.LANCZOS)
            picture.save(HERE / "samples" / f"{number:02d}-{made[number].kind}.jpg", quality=85)


def main(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    samples: Annotated[bool, typer.Option(help="Draw the samples too.")] = False,
) -> None:
    """Measure and write; the models are those of LAST."""
    if samples:
        write_samples()
    for name in names or LAST:
        write(name)


if __name__ == "__main__":
    typer.run(main)
