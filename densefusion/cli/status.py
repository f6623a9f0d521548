"""``densefusion status``."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, Json, app, load
from densefusion.workers import TARGETS

if TYPE_CHECKING:
    from rich.console import Console

    from densefusion.settings import Settings
    from densefusion.status.scrape import Metrics
    from densefusion.status.watch import Watch


@app.command()
def status(
    once: Annotated[
        bool, typer.Option("--once", help="Print it once; so it is where there is no terminal.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")
    ] = 2.0,
    prometheus: Annotated[
        str | None, typer.Option(help="URL of a Prometheus server that scrapes the workers.")
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(help="File of the workers' addresses (Prometheus's file_sd). [default: that "
                     "of `up` and `run` in the data folder]"),
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """How far each stage is, how fast, how old its records are; what is stuck; until Ctrl-C.

    What waits comes from the brokers, everything else from the workers' metrics, if there are any.
    Of several transactions that wait, each counts one record more.
    """
    from rich.console import Console

    from consumers.roster import make_topics
    from densefusion.cli.connect import connected, is_external
    from densefusion.status.groups import Groups
    from densefusion.status.watch import Watch

    settings = load(data_dir)
    embedded = not is_external(settings)
    settings = connected(settings)
    metrics, source = _metrics(settings, prometheus, targets)
    inputs = _inputs(settings)
    found = make_topics(settings).verify({name for names in inputs.values() for name in names})
    groups = Groups(settings.kafka, inputs, found, embedded=embedded)
    try:
        watch = Watch(settings.kafka.bootstrap or "", list(inputs), groups, metrics, source)
        console = Console()
        if as_json or once or not console.is_terminal:
            _print_once(watch, interval, console, as_json=as_json)
        else:
            _live(watch, interval, console)
    finally:
        groups.close()


def _print_once(watch: Watch, interval: float, console: Console, *, as_json: bool) -> None:
    """Two looks, since rates need them."""
    from densefusion.status.screen import screen
    from densefusion.status.snapshot import as_object

    watch.take()
    time.sleep(interval)
    snapshot = watch.take()
    if as_json:
        print(json.dumps(as_object(snapshot)))
    else:
        console.print(screen(snapshot, console.width))


def _live(watch: Watch, interval: float, console: Console) -> None:
    from rich.live import Live
    from rich.text import Text

    from densefusion.errors import DependencyError
    from densefusion.status.screen import screen

    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=console, auto_refresh=False, screen=True) as live,
    ):
        live.update(Text("reading ..."), refresh=True)
        while True:
            try:
                live.update(screen(watch.take(), console.width), refresh=True)
            except DependencyError as error:  # it may be back at the next look
                live.update(Text(str(error), "red"), refresh=True)
            time.sleep(interval)


def _metrics(
    settings: Settings, prometheus: str | None, targets: Path | None
) -> tuple[Metrics | None, str | None]:
    """Where the workers' metrics are."""
    from densefusion.errors import SettingsError
    from densefusion.status.scrape import PrometheusServer, Targets

    if prometheus is not None:
        if not prometheus.startswith(("http://", "https://")):
            raise SettingsError(f"--prometheus {prometheus}: not an http(s) URL")
        server = PrometheusServer(prometheus)
        return server, server.url
    file = targets or settings.data_dir / TARGETS
    if targets is not None and not file.exists():
        raise SettingsError(f"--targets {file}: no such file")
    return (Targets(file), str(file)) if file.exists() else (None, None)


def _inputs(settings: Settings) -> Mapping[str, Sequence[str]]:
    """For each stage, in the order of the stream, the topics that it is measured on."""
    from consumers.roster import expert_classes, stage_names
    from densefusion import topics

    plain: dict[str, Sequence[str]] = {
        "fetch": (topics.URLS,),
        "curate": (topics.FETCHED,),
        "fusion": (topics.IMAGES,),
        "dataset": (topics.CAPTIONS, topics.REJECTS),
    }
    classes = expert_classes(settings.experts.roster, settings.experts.profile)
    return {
        name: plain[name] if name in plain else (classes[name].follows,)
        for name in stage_names(settings)
    }
