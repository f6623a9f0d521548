"""``densefusion worker STAGE``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion import __version__, logs, process_metrics, tracing
from densefusion.cli.app import DataDir, app, load
from densefusion.errors import DenseFusionError, exit_code

if TYPE_CHECKING:
    from consumers.worker import Worker
    from densefusion.health import Health
    from densefusion.settings import Settings
    from densefusion.store import ObjectStore

log = logging.getLogger("densefusion.worker")


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
        int | None, typer.Option(help="Serve /metrics, /healthz and /readyz on this port.")
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

    settings = load(data_dir, worker={"instance": instance, "metrics_port": metrics_port})
    with ExitStack() as stack:
        stack.enter_context(_logged(stage))
        settings = connected(settings)
        process_metrics.set_up()
        health = stack.enter_context(_health(settings))
        tracing.start(settings.tracing, f"densefusion-{stage[0]}")
        set_up_engines(settings)
        roster = Roster(settings)
        slots = {name: _slot(settings, name) for name in stage}
        logs.bind(instance=", ".join(dict.fromkeys(slots.values())))
        try:
            workers = [roster.worker(name, slots[name]) for name in stage]
            if health is not None:
                health.workers = [each.pulse for each in workers]
                health.checks = {"store": roster.store.failing}
            asyncio.run(_run(workers, roster.store))
        except EngineError as error:
            raise SettingsError(str(error)) from error
        finally:
            roster.close()
            tracing.stop()


@contextmanager
def _logged(stages: list[str]) -> Iterator[None]:
    """A worker's life in its log; where it ends with an error, the process's exit code is that."""
    logs.bind(stage=", ".join(stages))
    log.info("worker started", extra={"version": __version__, "pid": os.getpid()})
    try:
        yield
    except DenseFusionError as error:
        log.error("worker failed", extra={"error": str(error), "kind": type(error).__name__})
        raise typer.Exit(exit_code(error)) from error
    log.info("worker stopped")


def _health(settings: Settings) -> AbstractContextManager[Health | None]:
    worker = settings.worker
    if worker.metrics_port is None:
        return nullcontext()
    from densefusion.health import Health

    return Health(worker.metrics_port, worker.metrics_host)


_held: list[object] = []


def _slot(settings: Settings, stage: str) -> str:
    if settings.worker.instance is not None:
        return settings.worker.instance
    from densefusion.slots import Slot

    slot = Slot(stage, settings.kafka.prefix)
    _held.append(slot)  # until the process ends
    return slot.name


async def _run(workers: list[Worker], store: ObjectStore) -> None:
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
            reached.cancel()

    async def reach() -> None:
        try:
            await store.reach()
        except Exception:
            stop()
            raise

    reached = asyncio.create_task(reach())
    results = await asyncio.gather(*(run(one) for one in workers), reached, return_exceptions=True)
    for result in results:
        if isinstance(result, asyncio.CancelledError):  # we left while the store was away
            continue
        if isinstance(result, BaseException):
            raise result
