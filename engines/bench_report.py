"""A benchmark's rows as Markdown for the documents, and as JSON beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.bench import Row
from engines.cores import usable_cores

_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "tensorrt", "numpy", "opencv-python-headless")


def machine() -> dict[str, str]:
    """What the figures were taken on: processor, cores, system, versions."""
    found = {
        "processor": _processor(),
        "cores": str(usable_cores()),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def markdown(rows: Sequence[Row], about: dict[str, str]) -> str:
    """A page: what it was measured on, what the columns mean, and one table an item."""
    page = [
        "# Engines",
        "",
        "Written by `densefusion engines bench --out`; measured on "
        + ", ".join(f"{name} {value}" for name, value in about.items())
        + f", {date.today():%Y-%m-%d}.",
        "",
        "`ms` is that of one item in a single run: on the CPU the CPU time of its one thread, on a "
        "GPU wall time; "
        "`a second` counts items with as many runs at the same time as the experts have: one a "
        "core on the CPU, two on a GPU. A picture or a line of text is a real one, prepared, and "
        "turned into findings; an input is zeros at the model's usual shape, and the session "
        "alone. `agreement` is with the FP32 model on the CPU, on the same photographs.",
        "",
    ]
    for item in dict.fromkeys(row.item for row in rows):
        page += [
            f"| a {item} through | provider | precision | batch | ms | a second | agreement |",
            "|---|---|---|--:|--:|--:|---|",
        ]
        page += [_line(row) for row in rows if row.item == item]
        page.append("")
    return "\n".join(page)


def save(rows: Sequence[Row], out: Path) -> list[Path]:
    """Write `out` (Markdown) and the same as JSON beside it; the files written."""
    about = machine()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown(rows, about), "utf-8")
    content = {"machine": about, "rows": [asdict(row) for row in rows]}
    beside = out.with_suffix(".json")
    beside.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return [out, beside]


def _line(row: Row) -> str:
    agrees = row.measure if row.agreement is None else f"{row.agreement:.4f} ({row.measure})"
    cells = (
        row.model, row.provider, row.precision, row.batch, f"{row.ms:.2f}", f"{row.per_second:.1f}",
        agrees.replace("|", "/"),
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _processor() -> str:
    """Its name, as Linux has it; elsewhere as Python has it."""
    try:
        names = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        names = []
    named = (line.partition(":")[2].strip() for line in names if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")
