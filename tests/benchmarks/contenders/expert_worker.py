"""The worker of one expert as the roster builds it, on a sleeping device or on its real sessions.

Its last line of output, as JSON, is what its device did.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import build

from consumers.expert import Expert
from consumers.expert_stage import ExpertStage
from consumers.experts.batching import records_in_flight
from consumers.roster import expert_classes, make_codec
from consumers.source import TopicSource
from densefusion.settings import Settings
from densefusion.settings import Worker as WorkerSettings
from densefusion.store import ObjectStore
from engines.decoders import decoder
from engines.images import decode
from tests.benchmarks.devices import SleepingDevice, sleeping


async def main(arguments: dict[str, Any]) -> None:
    settings, name = Settings(), str(arguments["expert"])
    device = SleepingDevice(arguments["seconds"])
    if arguments["seconds"]:
        picture = decode(Path(arguments["picture"]).read_bytes())
        expert = sleeping(name, settings.experts, device, picture)
    else:
        make = cast("Callable[[Any], Expert]", expert_classes([name])[name])
        expert = make(settings.experts)
    codec, kafka, store = make_codec(settings), settings.kafka, ObjectStore(settings.store)
    stage = ExpertStage(
        expert, store, codec, kafka.prefix,
        decode=decoder(settings.experts.decoder), memory=settings.experts.picture_memory,
    )  # fmt: skip
    least = WorkerSettings().in_flight
    await build.run(
        stage,
        TopicSource({kafka.prefix + "images": "Image"}, codec),
        kafka,
        codec,
        in_flight=arguments["in_flight"] or records_in_flight(settings.experts, least),
    )
    store.close()
    did = {"batches": device.batches, "busy": device.busy, "span": device.ended - device.began}
    print(json.dumps(did))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
