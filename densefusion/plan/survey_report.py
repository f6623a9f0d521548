"""What a Prometheus server told of the figures: for a person, as JSON, as a file of costs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from densefusion.errors import SettingsError
from densefusion.plan.costs import Figure
from densefusion.plan.measured import Survey

WIDTH = 98


def show(console: Console, survey: Survey, package: Mapping[str, Figure]) -> None:
    """Each figure that was measured, beside the package's; and those that could not be, and why."""
    console.print(f"measured: {survey.where}\n")
    table = Table("figure", box=None, pad_edge=False, collapse_padding=True)
    for name in ("measured", "package", "from"):
        table.add_column(name, justify="left" if name == "from" else "right")
    for name in sorted(survey.found, key=_place):
        value, why = survey.found[name]
        usual = _number(package[name].value) if name in package else ""
        table.add_row(name.removeprefix("stages."), _number(value), usual, why)
    console.print(table)
    if survey.missing:
        console.print("\nnot told there, so the package's stand")
    reasons: dict[str, dict[str, list[str]]] = {}
    for name in sorted(survey.missing, key=_place):
        owner, _, what = name.removeprefix("stages.").rpartition(".")
        reasons.setdefault(survey.missing[name], {}).setdefault(what, []).append(owner)
    for why, figures in reasons.items():
        listed = "; ".join(f"{', '.join(owners)}: {what}" for what, owners in figures.items())
        console.print(hanging(f"{why} [{listed}]"))
    console.print("all other figures are the package's: no metric tells them\n")


def hanging(text: str) -> str:
    """A line of a list, folded."""
    return textwrap.fill(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def as_object(survey: Survey, package: Mapping[str, Figure]) -> dict[str, Any]:
    """The same, for ``--json``."""
    return {
        "where": survey.where,
        "found": {
            name: {
                "value": value, "from": why,
                "package": package[name].value if name in package else None,
            }
            for name, (value, why) in survey.found.items()
        },
        "not_told": survey.missing,
    }  # fmt: skip


def save(survey: Survey, path: Path) -> None:
    """Write what was measured as a file for ``--costs``.

    Raises:
        SettingsError: it cannot be written.
    """
    where = json.dumps(survey.where, ensure_ascii=False)  # a TOML string, too
    missing = sorted(survey.missing, key=_place)
    lines = ["[sources.prometheus]", 'kind = "measured"', f"text = {where}"]
    last = ""
    for name in sorted(survey.found, key=_place):
        owner, _, figure = name.rpartition(".")
        if owner != last:
            lines += ["", f"[{owner}]"]
            last = owner
        value, why = survey.found[name]
        lines.append(f'{figure} = [{float(f"{value:.4g}")!r}, "prometheus"]  # {why}')
    lines += ["", *(f"# {name}: {survey.missing[name]}" for name in missing)]
    try:
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise SettingsError(f"--save-costs {path}: {error.strerror}") from error


_STAGES = ("fetch", "curate", "", "fusion", "dataset")  # experts between


def _place(name: str) -> tuple[int, str]:
    """Stages in the order of the stream, then the rest."""
    table, owner, *_ = name.split(".")
    if table != "stages":
        return len(_STAGES), name
    return _STAGES.index(owner if owner in _STAGES else ""), name


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
