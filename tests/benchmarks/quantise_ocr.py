"""Makes the OCR's 8-bit weights, which are used on the CPU once they lie in engines/weights.

    python tests/benchmarks/quantise_ocr.py

From the weights that rapidocr carries. Ranges are measured on pictures of another seed than the
benchmark's: text that is made, and crops of examples/. Of the recogniser only the convolutions are
turned to 8 bits, and not the last four: else full stops get lost and spaces come and go.
What comes of it is refused if it does not read as the original does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import lettering
import numpy as np
import onnx
import photographs

from engines.images import decode
from engines.ocr import models
from engines.ocr.detector import TextDetector, network_size, resize
from engines.ocr.geometry import along_text, crop
from engines.ocr.recogniser import HEIGHT, bucket, normalise, scaled_width
from engines.optimise import Calibration, agreement, check, optimise
from engines.optimise.storage import store_half
from engines.session import Session, usable_cores

SEED = 99
CROPS = 80
KEPT = 4  # the recogniser's last convolutions


def main() -> None:
    written = [decode(each.jpeg) for each in lettering.make(40, seed=SEED)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        photographs.make(folder, 24, seed=SEED)
        plain = [decode(path.read_bytes()) for path in sorted(folder.glob("*.jpg"))]
        find = Session(models.find(models.DETECTOR), threads=usable_cores())
        read = Session(models.find(models.RECOGNISER), threads=usable_cores())
        detector = TextDetector(find)
        crops = [
            crop(image, along_text(box.quad))
            for image in written
            for box in detector.detect([image])[0]
        ]
        chosen = np.random.default_rng(0).permutation(len(crops))[:CROPS]
        seen = [
            _map_input(image, (768, 448)[number % 2])
            for number, image in enumerate(written + plain)
        ]
        made = folder / "made.onnx"
        optimise(models.find(models.DETECTOR), "int8", made, calibration=Calibration(seen))
        found = agreement("ocr-detection", find, Session(made), written)
        print("detector:", found)
        check("the detector", found)
        store_half(made, models.quantised(models.DETECTOR))
        lines = Calibration([_line_input(crops[index]) for index in chosen])
        optimise(models.find(models.RECOGNISER), "fp32", made)
        names = [node.name for node in onnx.load(made).graph.node if node.op_type == "Conv"]
        keep = ("MatMul", "Add", "Mul", *names[-KEPT:])
        optimise(models.find(models.RECOGNISER), "int8", made, calibration=lines, keep=keep)
        found = agreement("ocr-recognition", read, Session(made), written)
        print("recogniser:", found)
        check("the recogniser", found)
        store_half(made, models.quantised(models.RECOGNISER))


def _map_input(image: np.ndarray, side: int) -> np.ndarray:
    target = network_size(image.shape[1], image.shape[0], side)
    blob: np.ndarray = cv2.dnn.blobFromImages(
        [resize(image, target)], 1 / 127.5, mean=(127.5,) * 3, swapRB=True
    )
    return blob


def _line_input(line: np.ndarray) -> np.ndarray:
    width = scaled_width(line)
    batch = np.zeros((1, 3, HEIGHT, bucket(width)), np.float32)
    batch[0, :, :, :width] = normalise(line, width)
    return batch


if __name__ == "__main__":
    main()
