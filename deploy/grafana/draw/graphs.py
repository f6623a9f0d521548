"""Panels with time along the bottom: lines, stacked areas, coloured states."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from deploy.grafana.draw import look
from deploy.grafana.draw.field import Field, field_for
from deploy.grafana.draw.frame import Frame, shorten, width_of
from deploy.grafana.draw.source import Floats, Prometheus
from deploy.grafana.draw.units import text

Named = list[tuple[str, Floats]]
_MOST = 12  # series in a legend
_MINUTE, _TICKS = 60.0, 6
_ROUND_TIMES = (15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400)  # seconds


def grid(prometheus: Prometheus) -> Floats:
    """The points in time that every line has."""
    return np.arange(prometheus.start, prometheus.end + 0.5, prometheus.step)


def draw_lines(frame: Frame, panel: dict[str, Any], series: Named, times: Floats) -> None:
    """A ``timeseries`` panel."""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    settled = {name: colour for name, _ in series if (colour := field_for(panel, name).colour)}
    colours = look.colours([name for name, _ in series if name not in settled], len(settled))
    colours |= {name: look.STEPS[colour] for name, colour in settled.items()}
    settings = field_for(panel, "")
    at_right = panel["options"]["legend"]["placement"] == "right"
    plot = _legend(frame, panel, series, colours, at_right=at_right)
    plot = plot.inside(48, 4, 4, 16)
    axes = plot.axes()
    moments = _moments(times)
    if custom.get("stacking", {}).get("mode") == "normal":
        filled = [np.nan_to_num(values) for _, values in series]
        axes.stackplot(
            moments, *filled, colors=[colours[name] for name, _ in series], alpha=0.75, lw=0
        )
    else:
        for name, values in series:
            axes.plot(moments, values, color=colours[name], lw=1.1)
    _value_axis(axes, series, settings, panel)
    _time_axis(axes, moments)


def draw_states(frame: Frame, panel: dict[str, Any], series: Named, times: Floats) -> None:
    """A ``state-timeline`` panel: a row a series, coloured by threshold."""
    settings = field_for(panel, "")
    steps = settings.thresholds.get("steps", [])
    left = 0.0
    for low, high in zip(steps, [*steps[1:], None], strict=True):
        start = text(low["value"], settings.unit) if low["value"] is not None else ""
        name = f"≥ {start}" if start else f"< {text(high['value'], settings.unit)}" if high else ""
        frame.write(left + 14, frame.height - 6, name, size=7.6, colour=look.FAINT)
        _mark(frame, left, frame.height - 6, look.STEPS.get(low["color"], look.TEXT))
        left += 28 + width_of(name, 7.6)
    room = 16 + max((width_of(name, 8.4) for name, _ in series), default=0)
    axes = frame.inside(room, 2, 4, 32).axes()
    moments = _moments(times)
    width = moments[1] - moments[0] if len(moments) > 1 else 1.0
    for row, (_, values) in enumerate(series):
        for moment, value in zip(moments, values, strict=True):
            if np.isfinite(value):
                colour = look.step_colour(value, settings.thresholds)
                axes.add_patch(Rectangle((moment, row - 0.38), width * 1.02, 0.76, color=colour))
    axes.set_ylim(len(series) - 0.5, -0.5)
    axes.set_yticks(range(len(series)), [name for name, _ in series])
    axes.tick_params(axis="y", labelsize=8, colors=look.TEXT)
    _time_axis(axes, moments)


def _moments(times: Floats) -> Floats:
    """Unix seconds as matplotlib's days."""
    return times / 86_400.0


def _time_axis(axes: Axes, moments: Floats) -> None:
    axes.set_xlim(moments[0], moments[-1])
    locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    short = (moments[-1] - moments[0]) * 86_400 < 600
    zone = datetime.now().astimezone().tzinfo
    form = DateFormatter("%H:%M:%S" if short else "%H:%M", tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(form)


def _value_axis(axes: Axes, series: Named, settings: Field, panel: dict[str, Any]) -> None:
    axes.grid(axis="both", color=look.GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value, settings.unit)))
    top = panel["fieldConfig"]["defaults"].get("max")
    flat = not any(np.nanmax(values, initial=0.0) > 0 for _, values in series)
    axes.set_ylim(0, top if top is not None else 1 if flat else None)
    if settings.unit == "s" and (high := axes.get_ylim()[1]) > _MINUTE:
        step = next((each for each in _ROUND_TIMES if high / each <= _TICKS), high / _TICKS)
        axes.yaxis.set_major_locator(MultipleLocator(step))
    if settings.unit == "bytes" and (high := axes.get_ylim()[1]) > 1:
        axes.yaxis.set_major_locator(MultipleLocator(2 ** math.ceil(math.log2(high / _TICKS))))
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        high = axes.get_ylim()[1]
        for step in settings.thresholds.get("steps", []):
            if step.get("value") is not None and step["value"] <= high:
                colour = look.STEPS.get(step["color"], look.TEXT)
                axes.axhline(step["value"], color=colour, lw=0.9, ls=(0, (5, 4)))


def _mark(frame: Frame, x: float, y: float, colour: str) -> None:
    frame.figure.axes[0].add_patch(
        Rectangle((frame.left + x, frame.top + y - 2), 10, 3.5, facecolor=colour, lw=0)
    )


def _legend(
    frame: Frame, panel: dict[str, Any], series: Named, colours: dict[str, str], *, at_right: bool
) -> Frame:
    """Draw it; what is left for the plot."""
    if at_right:
        return _table(frame, panel, series, colours)
    lines: list[list[str]] = [[]]
    left = 0.0
    for name, _ in series[:_MOST]:
        wide = 26 + width_of(name, 7.6)
        if left + wide > frame.width and lines[-1]:
            lines.append([])
            left = 0.0
        lines[-1].append(name)
        left += wide
    for row, names in enumerate(reversed(lines)):
        left, y = 0.0, frame.height - 5 - 14 * row
        for name in names:
            _mark(frame, left, y, colours[name])
            frame.write(left + 14, y, name, size=7.6, colour=look.TEXT)
            left += 26 + width_of(name, 7.6)
    return frame.inside(0, 0, 0, 14 * len(lines))


def _table(frame: Frame, panel: dict[str, Any], series: Named, colours: dict[str, str]) -> Frame:
    wide = min(max(235.0, frame.width * 0.4), 280.0)
    left, names = frame.width - wide, wide - 148
    for x, heading in ((wide - 76, "Mean"), (wide - 2, "Last")):
        frame.write(left + x, 6, heading, size=7.2, colour="#6e9fff", align="right")
    for row, (name, values) in enumerate(series[: int((frame.height - 16) / 15)]):
        y = 22 + 15 * row
        settings = field_for(panel, name)
        _mark(frame, left, y, colours[name])
        frame.write(left + 14, y, shorten(name, names - 14, 7.6), size=7.6)
        known = values[np.isfinite(values)]
        for x, value in ((wide - 76, known.mean()), (wide - 2, known[-1])):
            frame.write(left + x, y, text(float(value), settings.unit), size=7.6, align="right")
    return frame.inside(0, 0, wide + 10, 0)
