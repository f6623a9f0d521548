"""``densefusion up``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, app, load

if TYPE_CHECKING:
    from densefusion.settings import Settings


@app.command()
def up(
    workers: Annotated[
        list[str] | None, typer.Option(help="STAGE=NUMBER of worker processes.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host (or host:port) that may be at a private address.")
    ] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of each new topic.")] = None,
    no_prometheus: Annotated[
        bool, typer.Option("--no-prometheus", help="Start no Prometheus, even if it is installed.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Run the stream until Ctrl-C: the embedded stack, and a worker of every stage.

    With DENSEFUSION_KAFKA__BOOTSTRAP and DENSEFUSION_STORE__ENDPOINT set, the workers alone.
    Feed it from another terminal: `densefusion produce LIST`.
    """
    from densefusion.cli.pipeline import counts, pipeline
    from densefusion.cli.signals import stop_on_signals

    settings = load(data_dir, fetch={"allow_hosts": allow_host}, kafka={"partitions": partitions})
    stop = threading.Event()
    stop_on_signals(stop)
    with (
        pipeline(settings, counts(workers or []), durable=True) as running,
        _prometheus(running.settings, wanted=not no_prometheus) as about,
    ):
        print(f"Kafka         {running.settings.kafka.bootstrap}")
        print(f"object store  {running.settings.store.endpoint}, bucket "
              f"{running.settings.store.bucket}")  # fmt: skip
        print(f"logs          {running.settings.data_dir / 'logs'}")
        print(about)
        print(
            "Ctrl-C stops it; what is not done yet goes on at the next `densefusion up`.",
            flush=True,
        )
        while not stop.wait(0.5):
            running.check()
        print("stopping: the workers finish what they have in hand", flush=True)


@contextmanager
def _prometheus(settings: Settings, *, wanted: bool) -> Iterator[str]:
    """A Prometheus server, if one is installed and wanted; what to tell about metrics."""
    from densefusion.prometheus import RULES, Prometheus, installed
    from densefusion.servers import StartFailed
    from densefusion.workers import TARGETS

    targets = settings.data_dir / TARGETS
    said = f"metrics       {targets} lists the workers' addresses (`densefusion status`)"
    program = installed() if wanted else None
    if program is None:
        yield f"{said}\nPrometheus    not installed; it would be started" if wanted else said
        return
    server = Prometheus(settings.data_dir / "prometheus", targets, program)
    try:
        server.start()
    except (StartFailed, OSError) as error:  # the stream does without
        server.stop()
        yield f"{said}\nPrometheus    does not start: {error}"
        return
    with server:
        rules = "" if RULES.is_dir() else ", without rules (they come with the source)"
        yield f"{said}\nPrometheus    {server.url}{rules}"
