"""Grafana's dashboards, written in Python: ``python -m deploy.grafana`` makes the JSON files.

`pages` has a module for each dashboard, `panels` the few kinds of panel that they are made of,
`queries` the PromQL they share. ``python -m deploy.grafana.draw`` draws the pages from a
Prometheus, without a Grafana.
"""

from __future__ import annotations

from pathlib import Path

DASHBOARDS = Path(__file__).parent / "dashboards"
