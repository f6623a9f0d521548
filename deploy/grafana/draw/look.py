"""Colours and sizes, after Grafana's dark theme."""

from __future__ import annotations

from typing import Any

GROUND, PANEL, EDGE = "#111217", "#181b1f", "#2a2d33"
TEXT, FAINT, GRID = "#d5d6dd", "#8e8f98", "#2c2f36"
STEPS = {"green": "#73bf69", "yellow": "#fade2a", "red": "#f2495c", "blue": "#5794f2"}
_PALETTE = (
    "#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#5195ce", "#ba43a9", "#b0a8f0",
    "#c8d8a0", "#f29191", "#82b5d8", "#e5a8e2", "#aea2e0", "#f9e2d2", "#9ac48a", "#f2c96d",
)  # fmt: skip
# The same colour for a stage on every panel, and none twice.
_STAGES = ("fetch", "curate", "detection", "tagging", "ocr", "knowledge", "fusion", "dataset")

COLUMN, ROW, GAP = 66.0, 36.0, 6.0  # pixels
DPI = 100


def colours(names: list[str], taken: int = 0) -> dict[str, str]:
    """A colour for each series of a panel; a stage has the same one on every panel.

    Args:
        taken: how many of the first colours are left out: green, yellow.
    """
    stages = any(name in _STAGES for name in names)
    places = [stage_order(name) if stages else at for at, name in enumerate(names, taken)]
    return {name: _PALETTE[at % len(_PALETTE)] for name, at in zip(names, places, strict=True)}


def step_colour(value: float, thresholds: dict[str, Any]) -> str:
    """The colour of the highest step that `value` reaches."""
    colour = TEXT
    for step in thresholds.get("steps", []):
        if step.get("value") is None or value >= step["value"]:
            colour = STEPS.get(step["color"], TEXT)
    return colour


def stage_order(stage: str) -> int:
    """A stage's place in the flow; others, foreign experts among them, after those."""
    return _STAGES.index(stage) if stage in _STAGES else len(_STAGES)
