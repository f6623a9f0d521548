"""One of this project's workers around a stage of a benchmark, run until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

from consumers.outputs import Outputs
from consumers.source import Source
from consumers.stage import Stage
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from densefusion.settings import Kafka
from densefusion.settings import Worker as WorkerSettings
from schemas import Codec


async def run(
    stage: Stage,
    source: Source,
    kafka: Kafka,
    codec: Codec,
    *,
    in_flight: int | None = None,
    instance: str = "0",
) -> None:
    """Everything that is not given is as the project's defaults have it."""
    settings = WorkerSettings()
    worker = Worker(
        stage,
        source,
        lambda: clients.consumer(kafka, stage.name, instance=instance),
        Transactions(partial(clients.producer, kafka, f"{kafka.prefix}{stage.name}-{instance}")),
        Outputs(stage.name, codec, kafka.prefix),
        settings,
        Starting(kafka),
        in_flight=in_flight or settings.in_flight,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
