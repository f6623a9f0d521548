"""``densefusion metrics``."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import Annotated

import typer

from densefusion.cli.app import Json, app

_INTRODUCTION = """\
# Metrics

Made by `densefusion metrics --markdown`, from `densefusion/metrics.py`.

Every worker process serves, with `--metrics-port` (`run` and `up` give each a free port of the loopback
interface, and list them in `targets.json` in the data folder, which Prometheus reads as `file_sd_configs`):

| path | |
|---|---|
| `/metrics` | what stands below, and the usual `process_*` and `python_*` |
| `/healthz` | 503 where starting the process anew would help: its loop has not polled for `DENSEFUSION_WORKER__STUCK_AFTER` seconds (90), or it has been leaving for five minutes. Brokers or a store that are away are no reason: workers wait for them and go on by themselves |
| `/readyz` | 503 also while it starts (an engine may take minutes), until the group has first answered, while no broker is connected, while the object store fails, and while it leaves. A spare worker, of which there are more than partitions, is ready |

Both answer with JSON that says why, stage by stage, from a thread of their own: a stuck worker still answers.
In Kubernetes they are the liveness and the readiness probe. No traffic is routed by readiness here; it holds up a
roll-out whose engine does not open or whose brokers cannot be reached, before it has replaced everybody.

`stage` is `fetch`, `curate`, an expert's name, `fusion` or `dataset`.

| metric | type | labels | |
|---|---|---|---|
"""  # noqa: E501


@app.command("metrics")
def show(
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/metrics.md.")] = False,
) -> None:
    """Print every metric that workers serve: name, type, labels, meaning."""
    rows = table()
    if as_json:
        print(json.dumps(rows, indent=2))
    elif markdown:
        print(as_markdown(rows), end="")
    else:
        width = min(100, shutil.get_terminal_size().columns)
        for row in rows:
            labels = f"  {{{row['labels']}}}" if row["labels"] else ""
            print(f"{row['name']}  {row['type']}{labels}")
            print(textwrap.fill(row["meaning"], width, initial_indent="    ",
                                subsequent_indent="    "))  # fmt: skip


def table() -> list[dict[str, str]]:
    """A row for each metric."""
    from densefusion.metrics import families

    return [
        {
            "name": name + ("_total" if family.type == "counter" else ""),
            "type": family.type,
            "labels": ", ".join(labels),
            "meaning": family.documentation,
        }
        for name, (family, labels) in families().items()
    ]


def as_markdown(rows: list[dict[str, str]]) -> str:
    """The whole page."""
    lines = [
        f"| `{row['name']}` | {row['type']} | {row['labels']} | {row['meaning']} |\n"
        for row in rows
    ]
    return _INTRODUCTION + "".join(lines)
