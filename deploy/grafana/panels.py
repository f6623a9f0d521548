"""The kinds of panel that the dashboards are made of, each with the settings we want everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")
Steps = Sequence[tuple[float | None, str]]
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"
_LETTERS = "ABCDEFGHIJ"  # Grafana's names of a panel's queries
PLAIN: Steps = ((None, BLUE),)
# Half a minute of waiting is a batch in work; ten minutes are nobody's plan.
WAIT: Steps = ((None, GREEN), (60, YELLOW), (600, RED))
P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, statetimeline.Panel, bargauge.Panel)


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and how its series are called (``{{label}}``); `unit` where it has its own."""

    expr: str
    name: str = "{{stage}}"
    unit: str = ""
    steps: Steps = ()


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    steps: Steps = (),
    table_legend: bool = False,
    highest: float | None = None,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Lines over time. `steps` are drawn as dashed lines across it; `colours` are those of series
    that mean good or bad.
    """
    legend = common.VizLegendOptions().show_legend(True)
    if table_legend:
        legend.display_mode(kinds.LegendDisplayMode.TABLE).placement(kinds.LegendPlacement.RIGHT)
        legend.calcs(["mean", "lastNotNull"])
    else:
        legend.display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM)
    panel = (
        timeseries.Panel()
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(60 if stacked else 0)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(legend)
        .tooltip(
            common.VizTooltipOptions()
            .mode(kinds.TooltipDisplayMode.MULTI)
            .sort(kinds.SortOrder.DESCENDING)
        )
        .color_scheme(_colour(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if steps:
        panel.thresholds(_thresholds(steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    if highest is not None:
        panel.max(highest)
    for name, colour in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(name, [_property("color", fixed)])
    for letter, each in zip(_LETTERS, queries, strict=False):
        panel.with_target(_target(letter, each))
        if each.unit:
            panel.override_by_regexp(each.name, [_property("unit", each.unit)])
    return _finish(panel, title, description, width, height)


def number(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 3,
    height: int = 4,
    steps: Steps = PLAIN,
    decimals: int | None = None,
    line: bool = True,
) -> stat.Panel:
    """The last value of each series, large, with a line of how it came there."""
    panel = (
        stat.Panel()
        .unit(unit)
        .graph_mode(kinds.BigValueGraphMode.AREA if line else kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .orientation(kinds.VizOrientation.AUTO)
        .no_value("no data")
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(models.FieldColorModeId.THRESHOLDS))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for letter, each in zip(_LETTERS, queries, strict=False):
        panel.with_target(_target(letter, each))
        properties = [_property("unit", each.unit)] if each.unit else []
        if each.steps:
            properties.append(_property("thresholds", _thresholds(each.steps).build()))
        if properties:
            panel.override_by_name(each.name, properties)
    return _finish(panel, title, description, width, height)


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    height: int = 8,
    steps: Steps = PLAIN,
) -> bargauge.Panel:
    """The last value of each series as a bar."""
    panel = (
        bargauge.Panel()
        .unit(unit)
        .min(0)
        .decimals(0 if unit == "short" else 2)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(models.FieldColorModeId.THRESHOLDS))
    )
    for letter, each in zip(_LETTERS, queries, strict=False):
        panel.with_target(_target(letter, each).instant())
    return _finish(panel, title, description, width, height)


def states(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps,
    width: int = 12,
    height: int = 8,
) -> statetimeline.Panel:
    """A row for each series, coloured over time by the step that its value has reached."""
    panel = (
        statetimeline.Panel()
        .unit(unit)
        .show_value(kinds.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(models.FieldColorModeId.THRESHOLDS))
    )
    for letter, each in zip(_LETTERS, queries, strict=False):
        panel.with_target(_target(letter, each))
    return _finish(panel, title, description, width, height)


def rows(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    hidden: Sequence[str] = (),
    width: int = 24,
    height: int = 8,
) -> table.Panel:
    """A table of the values now: a row for each set of labels, a column for each query.

    Args:
        hidden: labels that are no column. `Query.name` is the heading of its column.
    """
    panel = table.Panel().unit(unit).filterable(True).thresholds(_thresholds(PLAIN))
    columns: dict[str, str] = {}
    for letter, each in zip(_LETTERS, queries, strict=False):
        target = prometheus.Dataquery().expr(each.expr).ref_id(letter).datasource(SOURCE)
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
        # With one query alone Grafana calls the column "Value".
        columns[f"Value #{letter}" if len(queries) > 1 else "Value"] = each.name
        properties = [_property("unit", each.unit)] if each.unit else []
        if each.steps:
            properties.append(_property("thresholds", _thresholds(each.steps).build()))
            properties.append(_property("custom.cellOptions", {"type": "color-text"}))
        if properties:
            panel.override_by_name(each.name, properties)
    gone = {name: True for name in ("Time", "__name__", *hidden)}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize", options={"excludeByName": gone, "renameByName": columns}
        )
    )
    return _finish(panel, title, description, width, height)


def _finish(panel: P, title: str, description: str, width: int, height: int) -> P:
    panel.title(title).description(description).datasource(SOURCE).span(width).height(height)
    return panel


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
    return target.range().legend_format(query.name)


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _colour(mode: models.FieldColorModeId) -> builders.FieldColor:
    return builders.FieldColor().mode(mode)


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)
