"""What Grafana finds at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def _load(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


def test_the_datasource_knows_the_scrape_interval() -> None:
    """Grafana makes `$__rate_interval` of it: four times too short, and every rate is empty."""
    (source,) = _load(PROVISIONING / "datasources" / "prometheus.yaml")["datasources"]
    prometheus = _load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_dashboards_are_provisioned_read_only() -> None:
    (provider,) = _load(PROVISIONING / "dashboards" / "densefusion.yaml")["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"]
