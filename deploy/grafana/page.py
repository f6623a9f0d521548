"""A dashboard around its panels: variables, links to the others, alerts as annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.panels import SOURCE

_TAG = "densefusion"
_COLUMNS = 24


Panel = Builder[models.Panel]


@dataclass(frozen=True, slots=True)
class Stack:
    """Panels on top of each other, all as wide as the first."""

    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and the panels under it, laid out from left to right, 24 columns wide."""

    title: str
    panels: Sequence[Panel | Stack]


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard. `name` is its file's; ``densefusion-<name>`` its uid, and so its address."""

    name: str
    title: str
    description: str
    sections: Sequence[Section]
    stage: bool = False  # whether it is about one stage, chosen by a variable


def render(page: Page) -> str:
    """The dashboard as JSON, as Grafana takes it (schema version 42, read by Grafana 10 to 12)."""
    builder = (
        builders.Dashboard(f"DenseFusion / {page.title}")
        .uid(f"densefusion-{page.name}")
        .description(page.description)
        .tags([_TAG])
        .readonly()  # the source is here; a change made in the browser would be lost
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Pages")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .include_vars(True)
            .keep_time(True)
        )
        .annotation(_alerts())
    )
    for variable in _variables(stage=page.stage):
        builder.with_variable(variable)
    dashboard = builder.build()
    dashboard.panels = _lay_out(page.sections)
    for number, each in enumerate(dashboard.panels, 1):
        each.id_val = number  # they make links to one panel last
    plain: dict[str, Any] = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def _lay_out(sections: Sequence[Section]) -> list[models.Panel | models.RowPanel]:
    """The panels with their places on the grid."""
    placed: list[models.Panel | models.RowPanel] = []
    top = 0
    for section in sections:
        place = models.GridPos(h=1, w=_COLUMNS, x=0, y=top)
        placed.append(models.RowPanel(title=section.title, collapsed=False, grid_pos=place))
        top, left, height = top + 1, 0, 0
        for item in section.panels:
            stack = [each.build() for each in (item.panels if isinstance(item, Stack) else [item])]
            width = _grid(stack[0]).w
            if left + width > _COLUMNS:
                top, left, height = top + height, 0, 0
            below = top
            for panel in stack:
                panel.grid_pos = models.GridPos(h=_grid(panel).h, w=width, x=left, y=below)
                below += panel.grid_pos.h
                placed.append(panel)
            left, height = left + width, max(height, below - top)
        top += height
    return placed


def _grid(panel: models.Panel) -> models.GridPos:
    assert panel.grid_pos is not None  # every kind of panel of ours has a size
    return panel.grid_pos


def _variables(*, stage: bool) -> list[Builder[models.VariableModel]]:
    """`datasource`, `job` and `instance`, as grafana/dashboard-linter wants them; `stage`."""
    found: list[Builder[models.VariableModel]] = [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query("job", "label_values(densefusion_build_info, job)"),
        _query("instance", 'label_values(densefusion_worker_ready{job=~"$job"}, instance)'),
    ]
    if stage:
        query = 'label_values(densefusion_worker_ready{job=~"$job"}, stage)'
        found.append(
            builders.QueryVariable("stage")
            .label("Stage")
            .query(query)
            .datasource(SOURCE)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .current(models.VariableOption(text="fetch", value="fetch"))
        )
    return found


def _query(name: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(name.title())
        .query(query)
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(models.VariableOption(text="All", value="$__all"))
    )


def _alerts() -> builders.AnnotationQuery:
    """Firing alerts of `deploy/prometheus/rules`, drawn across every panel."""
    expression = 'ALERTS{alertname=~"DenseFusion.+", alertstate="firing"}'
    return (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("red")
        .target(prometheus.Dataquery().expr(expression).ref_id("Alerts"))
        .title_format("{{alertname}}")
        .text_format("{{stage}} {{topic}} {{expert}}")
    )
