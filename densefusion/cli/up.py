"""``densefusion up``."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from densefusion.cli.app import DataDir, app, load


@app.command()
def up(
    workers: Annotated[
        list[str] | None, typer.Option(help="STAGE=NUMBER of worker processes.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host (or host:port) that may be at a private address.")
    ] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of each new topic.")] = None,
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
    with pipeline(settings, counts(workers or []), durable=True) as running:
        print(f"Kafka         {running.settings.kafka.bootstrap}")
        print(f"object store  {running.settings.store.endpoint}, bucket "
              f"{running.settings.store.bucket}")  # fmt: skip
        print(f"logs          {running.settings.data_dir / 'logs'}")
        print(
            "Ctrl-C stops it; what is not done yet goes on at the next `densefusion up`.",
            flush=True,
        )
        while not stop.wait(0.5):
            running.check()
        print("stopping: the workers finish what they have in hand", flush=True)
