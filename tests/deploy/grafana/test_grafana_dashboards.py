"""The dashboards: the files are what Python makes, and keep the rules of grafana/dashboard-linter.

The rules are those of its docs/index.md and the experimental ones on counters and histograms, by
the same names; the linter is a Go program, which CI need not have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.grafana import DASHBOARDS
from deploy.grafana.page import render
from deploy.grafana.pages import PAGES
from deploy.grafana.substitute import substitute
from tests.deploy.prometheus.expressions import Selector, grouping, matching, selectors
from tests.deploy.prometheus.names import labels_of

NAMES = [page.name for page in PAGES]
# Of the units that the linter knows, those that fit what we show.
UNITS = {"short", "s", "bytes", "Bps", "cps", "reqps", "percentunit", "currencyUSD"}
INTERVAL, WINDOW = 77, 1_234  # seconds; recognised again in the parsed expression
VALUES = {"stage": "ocr", "interval": INTERVAL, "window": WINDOW, "job": "$job",
          "instance": "$instance"}  # fmt: skip

Json = dict[str, Any]


def _load(name: str) -> Json:
    found: Json = json.loads((DASHBOARDS / f"{name}.json").read_text("utf-8"))
    return found


def _panels(name: str) -> Iterator[Json]:
    yield from (panel for panel in _load(name)["panels"] if panel["type"] != "row")


def _targets() -> list[tuple[str, str]]:
    """(page / panel, expression) of every query."""
    return [
        (f"{name} / {panel['title']}", target["expr"])
        for name in NAMES
        for panel in _panels(name)
        for target in panel["targets"]
    ]


def _selectors(expr: str) -> list[Selector]:
    return selectors(substitute(expr, **VALUES))


TARGETS = _targets()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_file_is_what_python_makes(page: Any) -> None:
    checked_in = (DASHBOARDS / f"{page.name}.json").read_text("utf-8")
    assert checked_in == render(page), "run: python -m deploy.grafana"


def test_no_dashboard_is_left_over() -> None:
    assert {file.stem for file in DASHBOARDS.glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_template_rules(name: str) -> None:
    dashboard = _load(name)
    assert dashboard["editable"] is False  # template-uneditable-rule
    by_name = {each["name"]: each for each in dashboard["templating"]["list"]}
    source = by_name["datasource"]  # template-datasource-rule
    assert (source["type"], source["query"], source["label"]) == (
        "datasource", "prometheus", "Data source",
    )  # fmt: skip
    for variable in ("job", "instance"):  # template-job-rule, template-instance-rule
        each = by_name[variable]
        assert each["label"] == variable.title()
        assert each["multi"] is True
        assert each["allValue"] == ".+"
    for each in by_name.values():
        if each["type"] == "query":
            assert each["refresh"] == 2  # template-on-time-change-reload
            assert each["datasource"]["uid"] == "${datasource}"
            # template-label-promql-rule
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"])
            assert found, each["query"]
            (selector,) = _selectors(found[1])
            assert {found[2], *selector.matchers} <= labels_of(selector.metric)


@pytest.mark.parametrize("name", NAMES)
def test_panel_rules(name: str) -> None:
    titles = []
    for panel in _panels(name):
        assert panel["targets"]  # panel-no-targets-rule
        assert panel["datasource"]["uid"] == "${datasource}"  # panel-datasource-rule
        assert panel["title"]  # panel-title-description-rule
        assert len(panel["description"].split()) >= 3, panel["title"]
        units = [panel["fieldConfig"]["defaults"]["unit"]]  # panel-units-rule
        for override in panel["fieldConfig"]["overrides"]:
            units += [each["value"] for each in override["properties"] if each["id"] == "unit"]
        assert set(units) <= UNITS, panel["title"]
        titles.append(panel["title"])
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    assert len(set(titles)) == len(titles), "two panels of the same title"


@pytest.mark.parametrize("name", NAMES)
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _load(name)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    rows = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(24) for y in range(rows)}, "a hole, or too wide"


@pytest.mark.parametrize(("where", "expr"), TARGETS, ids=[where for where, _ in TARGETS])
def test_target_rules(where: str, expr: str) -> None:
    for each in _selectors(expr):  # target-promql-rule: it parses
        assert each.matchers["job"] == "$job"  # target-job-rule
        assert each.matchers["instance"] == "$instance"  # target-instance-rule
        if set(each.functions) & {"rate", "irate"}:  # target-rate-interval-rule
            assert each.seconds == INTERVAL
        elif each.seconds is not None:
            assert each.seconds in (INTERVAL, WINDOW)
        if each.metric.endswith(("_total", "_count", "_sum", "_bucket")):  # target-counter-agg-rule
            assert set(each.functions) & {"rate", "irate", "increase"}
        if each.metric.endswith("_bucket"):  # target-histogram-rule
            assert "histogram_quantile" in each.functions


@pytest.mark.parametrize(("where", "expr"), TARGETS, ids=[where for where, _ in TARGETS])
def test_names_exist(where: str, expr: str) -> None:
    known: set[str] = set()
    for each in _selectors(expr):
        labels = labels_of(each.metric)
        assert set(each.matchers) <= labels, each.metric
        known |= labels
    plain = substitute(expr, **VALUES)
    for by, metrics in grouping(plain):
        assert by <= set().union(*map(labels_of, metrics)), metrics
    assert matching(plain) <= known


@pytest.mark.parametrize("name", NAMES)
def test_legends_name_labels_that_the_query_keeps(name: str) -> None:
    for panel in _panels(name):
        for target in panel["targets"]:
            wanted = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            by = [labels for labels, _ in grouping(substitute(target["expr"], **VALUES))]
            kept = set().union(*by) if by else {"job", "instance"}
            assert wanted <= kept, panel["title"]
