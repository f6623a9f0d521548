"""The stream beside a bare loop over the same models: python tests/benchmarks/pipeline.py --help

Both caption the same pictures (`photographs.py`) with the same models and settings, one after the
other. The bare loop (`bare_loop.py`) is plain function calls in its fastest layout; the stream
(`stream_run.py`) is what `densefusion run` starts. What the stream takes longer is the price of
fetching, of a store, of a log that survives crashes, and of experts in processes of their own.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import bare_loop
import photographs
import stream_run
import typer
from rich.console import Console
from rich.table import Table

from densefusion.cli.pipeline import counts
from engines.session import usable_cores

_WARM = 8
_SEED = 1
_UNDISTURBED = 0.9  # share of its cores that the bare loop gets where nothing else runs


@dataclass(slots=True)
class Pair:
    """A run of each over the same pictures."""

    images: int
    processes: int
    bare: bare_loop.BareRun
    stream: stream_run.StreamRun

    @property
    def ratio(self) -> float:
        """Images per second of the stream, over those of the bare loop."""
        return self.bare.seconds / self.stream.stored

    @property
    def same(self) -> int:
        """Captions that are the same in both, letter for letter."""
        both = self.stream.captions
        return sum(both.get(name) == caption for name, caption in self.bare.captions.items())

    @property
    def disturbed(self) -> bool:
        """Whether something else took the bare loop's cores: trust no figure then."""
        return self.bare.cpu / self.bare.seconds < _UNDISTURBED * self.processes

    def as_dict(self) -> dict[str, object]:
        """The figures, as a JSON object has them."""
        count = self.images
        return {
            "images": count,
            "bare": {
                "images_per_second": count / self.bare.seconds,
                "cpu_seconds_per_image": self.bare.cpu / count,
            },
            "stream": {
                "images_per_second": count / self.stream.stored,
                "images_per_second_until_captioned": count / self.stream.captioned,
                "cpu_seconds_per_image": sum(self.stream.cpu.values()) / count,
                "cpu_seconds_per_image_by_process": {
                    name: seconds / count for name, seconds in self.stream.cpu.items()
                },
            },
            "ratio": self.ratio,
            "same_captions": self.same,
            "disturbed": self.disturbed,
        }


def measure(images: int, ocr_side: int, processes: int, workers: dict[str, int]) -> Pair:
    """One run of each, in a folder of its own that does not stay."""
    with tempfile.TemporaryDirectory(prefix="densefusion-bench-") as name:
        folder = Path(name)
        pictures, warm = folder / "pictures", folder / "warm"
        rows = photographs.make(pictures, images, seed=_SEED)
        photographs.make(warm, _WARM, seed=_SEED + 1)
        bare = bare_loop.run(pictures, rows, ocr_side=ocr_side, processes=processes)
        stream = stream_run.run(pictures, warm, folder / "data", ocr_side=ocr_side, workers=workers)
        return Pair(images, processes, bare, stream)


def show(pairs: list[Pair]) -> None:
    console = Console()
    table = Table("run", "images/s", "CPU s/image", "cores busy", "ratio", "same captions")
    for column in table.columns[1:]:
        column.justify = "right"
    for number, pair in enumerate(pairs, 1):
        count, cpu = pair.images, sum(pair.stream.cpu.values())
        table.add_row(
            f"bare loop {number}",
            f"{count / pair.bare.seconds:.2f}",
            f"{pair.bare.cpu / count:.4f}",
            f"{pair.bare.cpu / pair.bare.seconds:.2f}",
        )
        table.add_row(
            f"stream {number}", f"{count / pair.stream.stored:.2f}", f"{cpu / count:.4f}",
            f"{cpu / pair.stream.stored:.2f}", f"{pair.ratio:.3f}", f"{pair.same}/{count}",
        )  # fmt: skip
        table.add_row("  until captioned", f"{count / pair.stream.captioned:.2f}")
    console.print(table)
    last = pairs[-1]
    processes = Table("process of the stream", "CPU ms/image", "share")
    for column in processes.columns[1:]:
        column.justify = "right"
    total = sum(last.stream.cpu.values()) or 1.0
    for name, seconds in sorted(last.stream.cpu.items(), key=lambda each: -each[1]):
        processes.add_row(name, f"{seconds / last.images * 1e3:.1f}", f"{seconds / total:.1%}")
    console.print(processes)
    if any(pair.disturbed for pair in pairs):
        console.print("not to be trusted: other processes took cores from the bare loop")
    ratio = statistics.median(pair.ratio for pair in pairs)
    console.print(f"stream : bare loop = {ratio:.3f}" + (" (median)" if len(pairs) > 1 else ""))


def main(
    images: Annotated[int, typer.Option(min=1, help="Pictures to caption.")] = 500,
    ocr_side: Annotated[int, typer.Option(min=64, help="OCR reads at this longest side.")] = 640,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each, by turns.")] = 1,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes of the bare loop; 0: one a core.")
    ] = 0,
    workers: Annotated[
        list[str] | None, typer.Option(help="STAGE=NUMBER of the stream; one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of runs.")] = False,
) -> None:
    """Images per second of the stream beside a bare loop over the same models."""
    # So that SIGTERM stops the stream's processes too, and removes the temporary folders.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = counts(workers or [])
    pairs = [measure(images, ocr_side, processes or usable_cores(), given) for _ in range(repeat)]
    if as_json:
        print(json.dumps([pair.as_dict() for pair in pairs], indent=1))
    else:
        show(pairs)


if __name__ == "__main__":
    typer.run(main)
