"""Joins with this project's worker: its join source, and a stage that captions nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import build
import wire

from consumers.join_source import JoinSource
from consumers.stage import Emit, Record
from densefusion.settings import Join, Kafka
from schemas import Framed


class Captionless:
    """The stage: a caption without a text, with the image and its priors carried."""

    name = "fusion"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        priors = {name: prior.raw for name, prior in record.joined.items()}
        image = Framed(record.raw)
        caption = wire.caption(record.key, record.partition, record.offset, image, priors)
        return [Emit(wire.CAPTIONS, record.key, caption, "Caption")]


async def main(arguments: dict[str, Any]) -> None:
    kafka, codec, join = Kafka.model_validate(arguments["kafka"]), wire.codec(), Join()
    streams = wire.topics(kafka.prefix)
    images = streams.pop(wire.IMAGES)
    source = JoinSource(images, streams, codec, window=join.window, deadline=join.deadline)
    await build.run(Captionless(), source, kafka, codec)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
