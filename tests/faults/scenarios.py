"""What the fault tests have in common: their settings, and scenarios that run side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping

from densefusion.settings import Settings
from tests.faults.stream import Stream

PROTOCOLS = ("classic", "consumer")


def settings(stream: Stream, **worker: object) -> Settings:
    """For the workers of a stream: they commit often."""
    base = Settings()
    ours = {"commit_interval": 0.2, "in_flight": 16, **worker}
    return base.model_copy(
        update={"kafka": stream.kafka, "worker": base.worker.model_copy(update=ours)}
    )


async def all_of(scenarios: Mapping[str, Awaitable[None]]) -> None:
    """Run scenarios side by side (most of each is waiting), and name those that fail."""
    results = await asyncio.gather(*scenarios.values(), return_exceptions=True)
    failed = [
        f"{name}: {type(result).__name__}: {result}"
        for name, result in zip(scenarios, results, strict=True)
        if result is not None
    ]
    assert not failed, "\n\n".join(failed)


@contextlib.asynccontextmanager
async def fed(stream: Stream, rate: float) -> AsyncIterator[asyncio.Event]:
    """Feeds the stream in the background, until the context ends, or the event it gives is set."""
    enough = asyncio.Event()
    feed = asyncio.create_task(stream.feed(rate, enough))
    try:
        yield enough
    finally:
        enough.set()
        await feed
