"""``densefusion worker STAGE``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, app, load

if TYPE_CHECKING:
    from consumers.worker import Worker
    from densefusion.settings import Settings


@app.command()
def worker(
    stage: Annotated[
        list[str], typer.Argument(help="fetch, curate, an expert's name, fusion, dataset.")
    ],
    instance: Annotated[
        str | None,
        typer.Option(help="Name of this worker slot. [default: the host's lowest free number]"),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics on this port.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run a worker of a stage (of several: in one process) until SIGTERM or Ctrl-C.

    Start as many as you like: Kafka shares the partitions out among the workers of a stage.
    """
    from consumers.roster import Roster
    from densefusion.cli.connect import connected
    from densefusion.engine_store import set_up_engines
    from densefusion.errors import SettingsError
    from engines.errors import EngineError

    settings = connected(
        load(data_dir, worker={"instance": instance, "metrics_port": metrics_port})
    )
    if settings.worker.metrics_port is not None:
        from prometheus_client import start_http_server

        start_http_server(settings.worker.metrics_port)
    set_up_engines(settings)
    roster = Roster(settings)
    slots = {name: _slot(settings, name) for name in stage}
    try:
        asyncio.run(_run([roster.worker(name, slots[name]) for name in stage]))
    except EngineError as error:
        raise SettingsError(str(error)) from error
    finally:
        roster.close()


_held: list[object] = []


def _slot(settings: Settings, stage: str) -> str:
    if settings.worker.instance is not None:
        return settings.worker.instance
    from densefusion.slots import Slot

    slot = Slot(stage, settings.kafka.prefix)
    _held.append(slot)  # until the process ends
    return slot.name


async def _run(workers: list[Worker]) -> None:
    def stop() -> None:
        for each in workers:
            each.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)

    async def run(one: Worker) -> None:
        try:
            await one.run()
        finally:
            stop()  # one that fails takes the others with it, in order

    results = await asyncio.gather(*(run(one) for one in workers), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
