"""``densefusion engines bench``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from densefusion.cli.app import Json
from densefusion.cli.engine_report import photographs, show
from densefusion.cli.engines import (
    ImagesOption,
    ModelOption,
    PrecisionName,
    ProfileOption,
    ProviderOption,
    chosen,
    group,
    told_engines,
)


@group.command()
def bench(
    model: ModelOption = None,
    profile: ProfileOption = None,
    provider: ProviderOption = None,
    precision: Annotated[
        PrecisionName | None, typer.Option(help="[default: fp32, and whatever else is built]")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(help="[default: 1 4 8 16]")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="For each measurement.")] = 1.0,
    images: ImagesOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a page of Markdown here, and JSON beside it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Milliseconds an item and items a second of each model, by batch size and precision.

    Beside them: how far it agrees with its FP32 original.
    """
    from engines.bench import BATCHES
    from engines.bench import bench as measure

    with told_engines() as settings:
        found = measure(
            chosen(model, profile),
            photographs=photographs(images),
            provider=provider or settings.experts.provider,
            precision=precision,
            batches=batch or BATCHES,
            seconds=seconds,
        )
    show([asdict(row) for row in found], as_json)
    if out is not None:
        from engines.bench_report import save

        for path in save(found, out):
            print(f"written: {path}", file=sys.stderr)
