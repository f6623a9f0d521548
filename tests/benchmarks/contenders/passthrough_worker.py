"""Passes records through with this project's worker."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

import build

from consumers.source import TopicSource
from consumers.stage import Emit, Record
from densefusion.settings import Kafka
from schemas import Codec


class PassThrough:
    """The stage: what comes in goes out."""

    name = "pass"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        return [Emit("out", record.key, record.raw, "ImageUrl")]


async def main(arguments: dict[str, str]) -> None:
    kafka, codec = Kafka.model_validate(arguments["kafka"]), Codec()
    source = TopicSource({kafka.prefix + "in": "ImageUrl"}, codec)
    await build.run(PassThrough(), source, kafka, codec)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
