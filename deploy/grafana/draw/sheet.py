"""A dashboard's panels on one picture, where its grid has them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deploy.grafana.draw import look
from deploy.grafana.draw.frame import Frame
from deploy.grafana.draw.graphs import draw_lines, draw_states, grid
from deploy.grafana.draw.numbers import draw_bars, draw_numbers, draw_table
from deploy.grafana.draw.source import Floats, Prometheus, Series
from deploy.grafana.substitute import substitute

Named = list[tuple[str, Floats]]
_HEAD = 34.0
_COLOURS = 128  # of the palette that the file is reduced to


def draw(dashboard: dict[str, Any], prometheus: Prometheus, *, stage: str, interval: int) -> bytes:
    """The picture, as PNG.

    Args:
        stage: what the variable `stage` is set to, on the page that has it.
        interval: `$__rate_interval`, in seconds.

    Raises:
        QueryFailed: Prometheus refuses a panel's query.
    """
    mpl.rcParams["font.family"] = ["DejaVu Sans"]
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    wide, high = 24 * look.COLUMN + 2 * look.GAP, rows * look.ROW + _HEAD + look.GAP
    figure = Figure(figsize=(wide / look.DPI, high / look.DPI), dpi=look.DPI, facecolor=look.GROUND)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, wide), ylim=(high, 0))
    sheet.set_axis_off()
    head = Frame(figure, look.GAP, 0, wide, _HEAD)
    chosen = next((v for v in dashboard["templating"]["list"] if v["name"] == "stage"), None)
    title = dashboard["title"] + (f"   ·   stage {stage}" if chosen else "")
    head.write(6, 18, title, size=11, weight="bold")

    def run(expr: str) -> str:
        window = math.ceil(prometheus.end - prometheus.start)
        return substitute(expr, stage=stage, interval=interval, window=window)

    for panel in panels:
        place = panel["gridPos"]
        frame = Frame(
            figure, look.GAP + place["x"] * look.COLUMN, _HEAD + place["y"] * look.ROW,
            place["w"] * look.COLUMN, place["h"] * look.ROW,
        ).inside(look.GAP / 2, look.GAP / 2, look.GAP / 2, look.GAP / 2)  # fmt: skip
        heading = panel["title"].replace("$stage", stage)
        if panel["type"] == "row":
            frame.write(4, frame.height / 2, f"v  {heading}", size=10)
            continue
        inner = frame.box(heading)
        targets = [run(target["expr"]) for target in panel["targets"]]
        if panel["type"] == "table":
            draw_table(inner, panel, [prometheus.now(expr) for expr in targets])
            continue
        names = [target["legendFormat"] for target in panel["targets"]]
        instant = panel["type"] == "bargauge"
        series = _series(targets, names, prometheus, instant=instant)
        _draw(inner, panel, series, grid(prometheus))
    return _png(figure)


def _draw(frame: Frame, panel: dict[str, Any], series: Named, times: Floats) -> None:
    match panel["type"]:
        case "stat":
            draw_numbers(frame, panel, series)
        case "bargauge":
            draw_bars(frame, panel, series)
        case _ if not series:
            middle = (frame.width / 2, frame.height / 2)
            frame.write(*middle, "No data", size=10, colour=look.FAINT, align="center")
        case "state-timeline":
            draw_states(frame, panel, series, times)
        case "timeseries":
            draw_lines(frame, panel, series, times)
        case other:
            raise ValueError(f"no drawing for a panel of type {other}")


def _series(
    targets: list[str], names: list[str], prometheus: Prometheus, *, instant: bool
) -> Named:
    """The panel's lines on one grid of times; those that never have a value are left out."""
    times = grid(prometheus)
    found: Named = []
    for expr, form in zip(targets, names, strict=True):
        lines = prometheus.now(expr) if instant else prometheus.over_time(expr)
        for each in lines if instant else sorted(lines, key=lambda one: _order(one, form)):
            values = np.full(len(times), np.nan)
            places = np.rint((each.times - prometheus.start) / prometheus.step).astype(int)
            values[places] = each.values
            if not np.isnan(values).all():
                found.append((each.name(form), values))
    return found


def _order(series: Series, form: str) -> tuple[int, str]:
    """Stages as the flow has them, the rest by name."""
    return look.stage_order(series.labels.get("stage", "")), series.name(form)


def _png(figure: Figure) -> bytes:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=look.DPI, facecolor=look.GROUND)
    small = io.BytesIO()
    with Image.open(raw) as picture:
        reduced = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        reduced.save(small, format="png", optimize=True)
    return small.getvalue()


def write(file: Path, picture: bytes) -> None:
    """Into its folder, which is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture)
