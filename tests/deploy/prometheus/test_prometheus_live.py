"""Every query of the dashboards and every rule, on a Prometheus that watched a real run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from deploy.grafana import DASHBOARDS
from deploy.grafana.draw.source import Prometheus
from deploy.grafana.pages import PAGES
from deploy.grafana.substitute import substitute
from tests.deploy.prometheus.expressions import selectors
from tests.deploy.prometheus.live import PROMETHEUS, watched_run
from tests.deploy.prometheus.names import labels_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

INTERVAL, WINDOW = 60, 60  # seconds
# What a healthy run on a machine without a GPU cannot have; the names are checked all the same.
ABSENT = {
    "densefusion_gpu_utilization_ratio": "no GPU",
    "densefusion_gpu_memory_used_bytes": "no GPU",
    "densefusion_gpu_memory_total_bytes": "no GPU",
    "densefusion_store_errors_total": "the store did not fail",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with watched_run(tmp_path_factory.mktemp("watched")) as server:
        yield server


def _rules() -> list[dict[str, Any]]:
    files = sorted((PROMETHEUS / "rules").glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_queries_return_data(server: Prometheus, name: str) -> None:
    empty = []
    for panel in json.loads((DASHBOARDS / f"{name}.json").read_text("utf-8"))["panels"]:
        for target in panel.get("targets", []):
            if not _has_data(server, target["expr"]):
                empty.append(f"{panel['title']}: {target['expr']}")
    assert not empty, "\n".join(empty)


def _has_data(server: Prometheus, expr: str) -> bool:
    # On the stage page some panels are about one kind of stage alone.
    stages = ("ocr", "fetch", "fusion", "dataset") if "$stage" in expr else ("",)
    queries = [substitute(expr, stage=stage, interval=INTERVAL, window=WINDOW) for stage in stages]
    found = [each for query in queries for each in server.now(query)]
    names = {each.metric for each in selectors(queries[0])}
    if not found and names & ABSENT.keys():
        return all(labels_of(name) for name in names)
    return any(not np.isnan(each.values).all() for each in found)


def test_rules_have_data(server: Prometheus) -> None:
    """A recording rule has recorded; an alert's every metric is there, so that it could fire."""
    empty = []
    for rule in _rules():
        server.now(rule["expr"])
        used = {each.metric for each in selectors(rule["expr"])}
        names = {rule["record"]} if "record" in rule else used
        absent = used & ABSENT.keys() or any("store_errors" in name for name in names)
        empty += [name for name in names if not absent and not server.now(name)]
    assert not empty


def test_nothing_fires_in_a_healthy_run(server: Prometheus) -> None:
    firing = server.now('ALERTS{alertstate="firing"}')
    assert not firing, [each.labels for each in firing]


def test_pictures_are_drawn(server: Prometheus, tmp_path: Path) -> None:
    from PIL import Image

    from deploy.grafana.draw.sheet import draw, write

    dashboard = json.loads((DASHBOARDS / "overview.json").read_text("utf-8"))
    file = tmp_path / "overview.png"
    write(file, draw(dashboard, server, stage="ocr", interval=INTERVAL))
    with Image.open(file) as picture:
        assert picture.width > 1_500
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 8
    assert file.stat().st_size < 400_000
