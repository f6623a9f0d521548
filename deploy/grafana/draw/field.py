"""A panel's settings for one of its series: the defaults, and what overrides them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """How a series, or a column, is written and coloured."""

    unit: str
    decimals: int | None = None
    thresholds: dict[str, Any] = field(default_factory=dict)
    coloured: bool = False  # a table's cell by its thresholds
    colour: str | None = None


def field_for(panel: dict[str, Any], name: str) -> Field:
    """The settings for the series, or the table's column, called `name`."""
    config = panel["fieldConfig"]
    found = {
        "unit": config["defaults"].get("unit", "none"),
        "decimals": config["defaults"].get("decimals"),
        "thresholds": config["defaults"].get("thresholds", {}),
    }
    for override in config.get("overrides", []):
        matcher = override["matcher"]
        if matcher["id"] == "byName":
            fits = matcher["options"] == name
        else:
            fits = re.search(matcher["options"].strip("/"), name) is not None
        if fits:
            for each in override["properties"]:
                found[each["id"]] = each["value"]
    return Field(
        found["unit"],
        found["decimals"],
        found["thresholds"],
        "custom.cellOptions" in found,
        found["color"]["fixedColor"] if "color" in found else None,
    )
