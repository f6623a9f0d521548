"""``python -m deploy.grafana.draw --prometheus URL --out FOLDER``: a PNG of each dashboard."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

if importlib.util.find_spec("matplotlib") is None:
    sys.exit('drawing needs matplotlib: pip install -e ".[dashboards]"')

from deploy.grafana import DASHBOARDS
from deploy.grafana.draw.sheet import draw, write
from deploy.grafana.draw.source import Prometheus, QueryFailed

_POINTS = 240  # of a line


def main(
    prometheus: Annotated[str, typer.Option(help="Its address.")] = "http://127.0.0.1:9090",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out/dashboards"),
    minutes: Annotated[float, typer.Option(help="How much time the pages show.")] = 30,
    until: Annotated[float | None, typer.Option(help="Their end, Unix seconds. [now]")] = None,
    stage: Annotated[str, typer.Option(help="The stage that the stage page shows.")] = "ocr",
    interval: Annotated[int, typer.Option(help="$__rate_interval, in seconds.")] = 20,
) -> None:
    """Draw every dashboard from a Prometheus."""
    end = until or time.time()
    step = max(1.0, minutes * 60 / _POINTS)
    source = Prometheus(prometheus, end - minutes * 60, end, step)
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(file.read_text("utf-8"))
        try:
            picture = draw(dashboard, source, stage=stage, interval=interval)
        except QueryFailed as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        write(out / f"{file.stem}.png", picture)
        typer.echo(f"{out / file.stem}.png  {len(picture) // 1024} KB")


if __name__ == "__main__":
    typer.run(main)
