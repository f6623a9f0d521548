"""Panels that show values of now: large numbers, bars, a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from deploy.grafana.draw import look
from deploy.grafana.draw.field import field_for
from deploy.grafana.draw.frame import Frame, shorten, width_of
from deploy.grafana.draw.source import Floats, Series
from deploy.grafana.draw.units import text

Named = list[tuple[str, Floats]]


def draw_numbers(frame: Frame, panel: dict[str, Any], series: Named) -> None:
    """A ``stat`` panel: a tile a series, side by side where there is room, else below another."""
    if not series:
        frame.write(frame.width / 2, frame.height / 2 - 4, "no data", size=11, align="center")
        return
    line = panel["options"].get("graphMode") == "area"
    tiles = frame.split(len(series), down=frame.height > frame.width * 0.9)
    for tile, (name, values) in zip(tiles, series, strict=True):
        settings = field_for(panel, name)
        known = values[np.isfinite(values)]
        last = float(values[~np.isnan(values)][-1])
        colour = look.step_colour(last, settings.thresholds)
        if line and len(known) > 1:
            _sparkline(tile, values, colour)
        shown = text(last, settings.unit, settings.decimals)
        size = min(20.0, tile.height * 0.32, tile.width / (len(shown) * 0.75))
        middle = tile.height * (0.42 if line else 0.5)
        if len(series) > 1:
            room = shorten(name, tile.width - 4, 7.6)
            tile.write(tile.width / 2, 7, room, size=7.6, colour=look.FAINT, align="center")
            middle = tile.height * (0.5 if line else 0.62)
        tile.write(
            tile.width / 2, middle, shown, size=size, colour=colour, align="center", weight="bold"
        )


def _sparkline(tile: Frame, values: Floats, colour: str) -> None:
    axes = tile.inside(0, tile.height * 0.68, 0, 2).axes()
    axes.set_axis_off()
    places = np.arange(len(values))
    axes.plot(places, values, color=colour, lw=1)
    axes.fill_between(places, 0, np.nan_to_num(values, posinf=0.0), color=colour, alpha=0.18)
    axes.set_xlim(0, max(1, len(values) - 1))
    axes.set_ylim(bottom=0)


def draw_bars(frame: Frame, panel: dict[str, Any], series: Named) -> None:
    """A ``bargauge`` panel."""
    shown = [(name, float(values[~np.isnan(values)][-1])) for name, values in series]
    most = max((value for _, value in shown if np.isfinite(value)), default=0.0) or 1.0
    names = min(frame.width * 0.5, 8 + max((width_of(n, 8) for n, _ in shown), default=0.0))
    height = min(26.0, frame.height / max(1, len(shown)))
    for row, (name, value) in enumerate(shown):
        settings = field_for(panel, name)
        colour = look.step_colour(value, settings.thresholds)
        y = height * (row + 0.5)
        frame.write(names - 6, y, shorten(name, names - 6), align="right")
        room = frame.width - names - 70
        bar = Frame(
            frame.figure, frame.left + names, frame.top + y - height * 0.36,
            max(2.0, room * value / most), height * 0.72,
        )  # fmt: skip
        axes = bar.axes()
        axes.set_facecolor(colour)
        axes.patch.set_alpha(0.85)
        axes.set_xticks([])
        axes.set_yticks([])
        shown_value = text(value, settings.unit, settings.decimals)
        frame.write(names + bar.width + 6, y, shown_value, colour=colour, weight="bold")


def draw_table(frame: Frame, panel: dict[str, Any], found: list[list[Series]]) -> None:
    """A ``table`` panel of instant queries, merged on their labels."""
    organised = next(t["options"] for t in panel["transformations"] if t["id"] == "organize")
    letters = [target["refId"] for target in panel["targets"]]
    values = [
        organised["renameByName"].get(f"Value #{letter}" if len(letters) > 1 else "Value", letter)
        for letter in letters
    ]
    merged: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for column, results in zip(values, found, strict=True):
        for each in results:
            key = tuple(sorted(each.labels.items()))
            merged.setdefault(key, {})[column] = float(each.values[-1])
    labels = sorted({name for key in merged for name, _ in key})
    columns = [*labels, *values]
    wide = frame.width / max(1, len(columns))
    for place, column in enumerate(columns):
        frame.write(wide * place + 4, 8, column, size=8, colour="#6e9fff", weight="bold")
    order = sorted(merged, key=lambda key: _stage_first(dict(key)))
    for row, key in enumerate(order[: int((frame.height - 16) / 30)]):
        y = 36 + 30 * row
        for place, column in enumerate(columns):
            words, colour = dict(key).get(column, ""), look.TEXT
            if column in values:
                value, settings = merged[key].get(column, float("nan")), field_for(panel, column)
                words = text(value, settings.unit) if not np.isnan(value) else ""
                if settings.coloured and words:
                    colour = look.step_colour(value, settings.thresholds)
            frame.write(wide * place + 4, y, shorten(words, wide - 6), colour=colour)


def _stage_first(labels: dict[str, str]) -> tuple[int, list[str]]:
    return look.stage_order(labels.get("stage", "")), list(labels.values())
