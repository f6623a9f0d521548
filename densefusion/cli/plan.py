"""``densefusion plan``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import Json, app

if TYPE_CHECKING:
    from densefusion.plan.costs import Costs


class CaptionEngine(StrEnum):
    """Who writes the captions."""

    COMPOSE = "compose"
    OPENAI = "openai"


@app.command()
def plan(
    images_per_day: Annotated[
        float, typer.Option(help="Images that end in a caption, on average.")
    ],
    gpu: Annotated[
        str | None, typer.Option(help="Experts run on these: t4, l4, a10, l40s, a100, h100, ...")
    ] = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Experts run on the CPU (the default).")
    ] = False,
    on_cpu: Annotated[
        list[str] | None, typer.Option(help="With --gpu: an expert that stays on the CPU.")
    ] = None,
    gpu_images_per_second: Annotated[
        list[str] | None,
        typer.Option(help="EXPERT=NUMBER: what one of your GPUs does, such as ocr=40."),
    ] = None,
    captions: Annotated[
        CaptionEngine, typer.Option(help="Who writes the captions.")
    ] = CaptionEngine.COMPOSE,
    tokens_per_second: Annotated[
        float | None, typer.Option(help="Output tokens of one GPU of the caption server.")
    ] = None,
    peak_factor: Annotated[float, typer.Option(help="The busiest moment over the average.")] = 2.0,
    utilisation: Annotated[float, typer.Option(help="Of the workers at that moment.")] = 0.7,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of every topic. [default: chosen]")
    ] = None,
    max_age: Annotated[
        float, typer.Option(min=1, help="Seconds that 99 of 100 images must stay under.")
    ] = 600,
    lag_seconds: Annotated[
        float, typer.Option(min=1, help="Work that may wait for each worker, when autoscaled.")
    ] = 30,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file of your own figures, over the package's.")
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(help="URL of a Prometheus server: figures that your workers' metrics tell."),
    ] = None,
    window: Annotated[str, typer.Option(help="With --prometheus: the last 30m, 1h, 2d.")] = "1h",
    save_costs: Annotated[
        Path | None, typer.Option(help="With --prometheus: write them to a file for --costs.")
    ] = None,
    price_core_hour: Annotated[float | None, typer.Option(min=0, help="US dollars.")] = None,
    price_gpu_hour: Annotated[float | None, typer.Option(min=0, help="US dollars.")] = None,
    price_gb_month: Annotated[float | None, typer.Option(min=0, help="US dollars.")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Check the plan; exit 1 if it does not hold.")
    ] = False,
    days: Annotated[float, typer.Option(min=0.02, max=366, help="Of the simulation.")] = 1,
    burst: Annotated[float, typer.Option(min=0, help="Images at once, at the busiest hour.")] = 0,
    failures: Annotated[float, typer.Option(min=0, help="Of a worker, in a day.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of the simulation's chance.")] = 1,
    json: Json = False,
) -> None:
    """How many workers, partitions, GPUs and brokers for so many images a day."""
    from densefusion.errors import SettingsError
    from densefusion.plan import report
    from densefusion.plan.arrivals import DAY, Load
    from densefusion.plan.check import check
    from densefusion.plan.costs import load
    from densefusion.plan.measured import survey
    from densefusion.plan.request import Prices, Request
    from densefusion.plan.simulation import Trouble
    from densefusion.plan.sizing import plan as make
    from densefusion.plan.survey_report import save

    if cpu and gpu is not None:
        raise SettingsError("--cpu or --gpu, not both")
    figures = load(costs)
    found = None
    if prometheus is not None:
        found = survey(prometheus, window, figures)
        figures = load(costs, found.figures())
        if save_costs is not None:
            save(found, save_costs)
    elif save_costs is not None:
        raise SettingsError("--save-costs needs --prometheus")
    _give(figures, gpu_images_per_second or [])
    request = Request(
        images_per_day, gpu and gpu.lower(), tuple(on_cpu or ()), captions.value,
        tokens_per_second, peak_factor, utilisation, partitions, lag_seconds, max_age,
        Prices(price_core_hour, price_gpu_hour, price_gb_month),
    )  # fmt: skip
    made = make(request, figures)
    checked = None
    if simulate:
        arriving = Load(images_per_day, peak_factor, burst, DAY / 2, days * DAY)
        checked = check(made, arriving, Trouble(failures), seed)
    shown = report.as_json if json else report.as_text
    print(shown(made, checked, found))
    if checked is not None and checked.failures:
        raise typer.Exit(1)


def _give(costs: Costs, rates: list[str]) -> None:
    from densefusion.errors import SettingsError

    for each in rates:
        stage, _, number = each.partition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not 0 < rate < 1e9 or f"stages.{stage}.gpu_rate" not in costs.figures:
            raise SettingsError(
                f"--gpu-images-per-second {each}: say EXPERT=NUMBER, such as ocr=40; "
                f"experts are {', '.join(costs.experts())}"
            )
        costs.give(f"stages.{stage}.gpu_rate", rate, "--gpu-images-per-second")
