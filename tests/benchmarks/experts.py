"""Times each expert alone: python tests/benchmarks/experts.py --help

A row keeps a number of photographs in flight; the expert's batcher makes of them what it can. The
time is that of the expert, decoding and preparing left out; a row of its own has the decoding. CPU
seconds are those of the whole process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from consumers.expert import Expert, Prepares, Sighting, experts
from densefusion.settings import Experts
from engines.images import decode
from engines.session import Provider

EXAMPLES = Path(__file__).parents[2] / "examples"


async def timed(
    work: Callable[[Any], Awaitable[object]], items: Sequence[Any], in_flight: int
) -> tuple[float, float]:
    """Wall and CPU seconds to do all `items`, `in_flight` at a time."""

    async def worker(queue: Iterator[Any]) -> None:
        for item in queue:
            await work(item)

    queue = iter(items)
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker(queue) for _ in range(in_flight)))
    return time.perf_counter() - wall, time.process_time() - cpu


def row(name: str, in_flight: int, count: int, wall: float, cpu: float) -> list[str]:
    each = wall / count
    return [name, str(in_flight), f"{each * 1e3:.2f}", f"{1 / each:.1f}", f"{cpu / count:.4f}"]


async def measure(expert: Expert, photographs: Sequence[bytes], in_flight: int) -> list[str]:
    side = expert.pixels
    prepare = expert.prepare if isinstance(expert, Prepares) else np.asarray
    decoded = [
        None if side == 0 else prepare(decode(data, min_side=side))
        for data in dict.fromkeys(photographs)
    ]
    image: dict[str, Any] = {
        "alt_text": "a photograph",
        "page_url": None,
        "embedded": {},
        "extra": {},
    }
    count = len(photographs)
    sightings = [Sighting(image, pixels) for pixels in islice(cycle(decoded), count)]
    await expert.open()
    try:
        await asyncio.gather(*map(expert.find, sightings[:in_flight]))  # warm
        wall, cpu = await timed(expert.find, sightings, in_flight)
    finally:
        await expert.close()
    return row(expert.name, in_flight, count, wall, cpu)


def main(
    only: Annotated[list[str] | None, typer.Option("--expert", help="Default: all.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="In flight; default 1, 4, 8.")] = None,
    images: Annotated[Path, typer.Option(help="Folder of JPEGs.")] = EXAMPLES,
    count: Annotated[int, typer.Option(min=1, help="Images for each row.")] = 48,
    provider: Annotated[Provider, typer.Option(help="Execution provider.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="Inferences at once; 0: one a core.")] = 0,
) -> None:
    """Time each expert alone on photographs."""
    photographs = [path.read_bytes() for path in sorted(images.glob("*.jp*g"))]
    if not photographs:
        raise typer.BadParameter(f"no JPEGs in {images}")
    found = {name: point.load() for name, point in experts().items() if "." not in name}
    if not found:
        raise typer.BadParameter("no expert is registered: install the package (pip install -e .)")
    if unknown := set(only or ()) - set(found):
        raise typer.BadParameter(f"no such expert: {', '.join(unknown)}; have {', '.join(found)}")
    photographs = list(islice(cycle(photographs), count))
    table = Table(*("expert", "in flight", "ms/image", "images/s", "CPU s/image"))

    async def decoding(data: bytes) -> None:
        await asyncio.to_thread(decode, data)

    for in_flight in batch or [1, 4, 8]:
        table.add_row(
            *row(
                "(decode)", in_flight, count, *asyncio.run(timed(decoding, photographs, in_flight))
            )
        )
    for name in only or found:
        for in_flight in batch or [1, 4, 8]:
            settings = Experts(provider=provider, threads=threads, max_batch=in_flight)
            expert = cast("Callable[[Experts], Expert]", found[name])(settings)
            table.add_row(*asyncio.run(measure(expert, photographs, in_flight)))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
