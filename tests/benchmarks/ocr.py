"""This project's OCR beside rapidocr's own pipeline: python tests/benchmarks/ocr.py --help

The same pictures, decoded beforehand, go through both in turn, picture by picture, in one process
with the same number of threads; rapidocr runs with its defaults. All use the same weights: ours as
they are served by default, which is in INT8 where the CPU is up to it, and in FP32.

Characters are counted right by 1 - edit distance / length of what is written, per class of
pictures, and where nothing is written every character read is a false one. Lines may come in any
order and a line in pieces: of the text as a whole and line by line, the better figure counts.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import lettering
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from engines.images import decode
from engines.ocr import Reader
from engines.optimise.measures import edits

EXAMPLES = Path(__file__).parents[2] / "examples"
# What can be read on the photographs of examples/ by eye, small print included.
WRITTEN = {
    "astronaut": ["COLLINS ASHBY", "COLEMAN HAWLEY TOGNINI"],
    "officer": ["COMO HOPPER"],
    "page": [
        "Region-based segmentation",
        "Let us first determine markers of the coins and the",
        "background. These markers are pixels that we can label",
        "unambiguously as either object or background. Here,",
        "the markers are found at the two extreme parts of the",
        "histogram of grey values:",
        ">>> markers = np.zeros_like(coins)",
    ],
    "poster_coffee": ["FRESH COFFEE", "2 for $5"],
    "sign_exit": ["EXIT 12B", "TOLL $3.50"],
    "sign_open": ["OPEN", "24 HOURS"],
    "sign_trail": ["TRAIL CLOSED", "ROCKFALL AREA", "KEEP OUT"],
}


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    kind: str
    pixels: np.ndarray
    written: Sequence[str]


@dataclass(slots=True)
class Reading:
    """What a contender made of one picture, and what it cost."""

    name: str
    kind: str
    read: list[str]
    wrong: int
    length: int
    wall: float
    cpu: float


def pictures(count: int, seed: int) -> list[Picture]:
    """The photographs of examples/, with text and without, and `count` that are made."""
    found = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        written = WRITTEN.get(path.stem, [])
        kind = "photograph with text" if written else "photograph without"
        found.append(Picture(path.stem, kind, decode(path.read_bytes()), written))
    for number, made in enumerate(lettering.make(count, seed=seed)):
        found.append(Picture(f"made-{number:03d}", made.kind, decode(made.jpeg), made.lines))
    return found


def ours(threads: int) -> dict[str, Callable[[np.ndarray], list[str]]]:
    """By precision, the default first."""

    def reading(reader: Reader) -> Callable[[np.ndarray], list[str]]:
        return lambda pixels: [line.text for line in reader.read([pixels])[0]]

    loaded = [Reader.load(threads=threads, precision=each) for each in ("auto", "fp32")]
    print(f"weights: {', '.join(reader.weights for reader in loaded)}")
    return {reader.precision: reading(reader) for reader in loaded}


def theirs(threads: int) -> Callable[[np.ndarray], list[str]]:
    from rapidocr import RapidOCR

    reader = RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
    )
    logging.disable(logging.WARNING)  # it warns of every picture without text

    def read(pixels: np.ndarray) -> list[str]:
        return list(reader(np.ascontiguousarray(pixels[:, :, ::-1])).txts or ())

    return read


def wrong_characters(read: Sequence[str], written: Sequence[str]) -> int:
    """Edits between the two texts, as a whole or line by line, whichever are fewer."""
    whole = edits(" ".join(written), " ".join(read))
    left = [" ".join(line.split()) for line in read]
    by_line = 0
    for line in sorted(written, key=len, reverse=True):
        if not left:
            by_line += len(line)
            continue
        best = min(left, key=lambda each: edits(line, each))
        by_line += min(edits(line, best), len(line) + len(best))
        left.remove(best)
    return min(whole, by_line + sum(map(len, left)))


def run(
    contenders: dict[str, Callable[[np.ndarray], list[str]]], shown: Sequence[Picture]
) -> dict[str, list[Reading]]:
    """Every picture through every contender, in turn."""
    for read in contenders.values():
        for picture in shown[:3]:  # warm
            read(picture.pixels)
    found: dict[str, list[Reading]] = {name: [] for name in contenders}
    for picture in shown:
        for name, read in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            lines = read(picture.pixels)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            wrong = wrong_characters(lines, picture.written)
            length = sum(map(len, picture.written))
            reading = Reading(picture.name, picture.kind, lines, wrong, length, wall, cpu)
            found[name].append(reading)
    return found


def row(kind: str, pairs: dict[str, list[Reading]]) -> list[str]:
    names = list(pairs)
    cells = [kind, str(len(pairs[names[0]]))]
    for name in names:
        length = sum(each.length for each in pairs[name])
        wrong = sum(each.wrong for each in pairs[name])
        cells.append(f"{100 * (1 - wrong / length):.2f} %" if length else f"{wrong} false")
    times = []
    for name in names:
        milliseconds = [1e3 * each.cpu for each in pairs[name]]
        times.append(sum(milliseconds) / len(milliseconds))
        cells.append(f"{times[-1]:.0f}")
    return cells + [f"{each / times[-1]:.2f}" for each in times[:-1]]


def main(
    count: Annotated[int, typer.Option(min=0, help="Pictures with text to make.")] = 200,
    seed: Annotated[int, typer.Option(help="Of what is made.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of each inference.")] = 1,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Every reading, to a file.")
    ] = None,
) -> None:
    """Time and character accuracy, side by side."""
    try:
        shown = pictures(count, seed)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    found = run({**ours(threads), "rapidocr": theirs(threads)}, shown)
    first, *others = found
    table = Table(
        *("pictures", "number", f"right: {first}", *others, f"CPU ms: {first}", *others),
        *(f"ratio: {first}", *others[:-1]),
    )
    kinds = list(dict.fromkeys(picture.kind for picture in shown))
    for kind in kinds:
        table.add_row(
            *row(kind, {n: [each for each in r if each.kind == kind] for n, r in found.items()})
        )
    table.add_section()
    table.add_row(*row("all", found))
    Console(width=120 if not sys.stdout.isatty() else None).print(table)
    if as_json:
        plain = {name: [asdict(each) for each in readings] for name, readings in found.items()}
        as_json.write_text(json.dumps(plain, indent=1), "utf-8")


if __name__ == "__main__":
    typer.run(main)
