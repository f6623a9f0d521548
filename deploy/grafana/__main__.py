"""``python -m deploy.grafana``: write the dashboards' JSON files again."""

from __future__ import annotations

from deploy.grafana import DASHBOARDS
from deploy.grafana.page import render
from deploy.grafana.pages import PAGES

if __name__ == "__main__":
    DASHBOARDS.mkdir(exist_ok=True)
    for page in PAGES:
        file = DASHBOARDS / f"{page.name}.json"
        file.write_text(render(page), "utf-8")
        print(file)
