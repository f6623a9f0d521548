"""Brokers die one by one, and all of them at once: the workers wait, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from deploy.kafka.cluster import KafkaCluster
from tests.faults.conftest import PARTITIONS, MakeStream
from tests.faults.crew import Crew, until
from tests.faults.scenarios import PROTOCOLS, all_of, fed, settings
from tests.faults.stream import Stream, Watch

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
# By hand, for longer: FAULT_SECONDS=60 pytest tests/faults -m integration
LEAVING = 30.0  # seconds: the default of Kubernetes
AWAY = float(os.environ.get("FAULT_SECONDS", "10"))


async def together(working: asyncio.Barrier) -> None:
    async with asyncio.timeout(90):
        await working.wait()


async def survive(
    stream: Stream, folder: Path, over: asyncio.Event, working: asyncio.Barrier
) -> None:
    """Be `working` on a stream until the fault is `over`; then all has come through, once."""
    with Crew(settings(stream), folder) as crew:
        member = crew.join("one")
        async with Watch(stream) as watch:
            async with fed(stream, 40):
                await until(lambda: watch.count > 40, 60, "output", member)
                await together(working)
                await over.wait()
                before = watch.count
                await until(lambda: watch.count > before + 100, 90, "output again", member)
            gap = watch.longest_gap()
        await stream.expect_all(90)
        print(f"{folder.name}: {stream.sent} records, longest stall {gap:.1f} s")
        assert f"partitions assigned  count={PARTITIONS} " in member.log()
        await member.leave()


async def leave(
    stream: Stream,
    folder: Path,
    gone: asyncio.Event,
    left: asyncio.Event,
    working: asyncio.Barrier,
) -> None:
    """Brokers that are away keep neither one that works nor one that starts from leaving."""
    with Crew(settings(stream), folder) as crew:
        early = crew.join("early", work=0.05)
        stream.put(3000)
        await until(lambda: len(early.events("done")) > 100, 60, "work", early)
        await together(working)
        await gone.wait()
        late = crew.join("late")
        await asyncio.sleep(1)
        started = time.monotonic()
        for member in (early, late):
            member.send(signal.SIGTERM)
        for member in (early, late):
            assert await member.ended(LEAVING) == 0
        print(f"left without brokers within {time.monotonic() - started:.1f} s")
        left.set()


async def test_the_brokers_die_in_turn(
    whole: KafkaCluster, new_stream: MakeStream, tmp_path: Path
) -> None:
    """Each of them leads some partitions and coordinates something; one is the controller."""
    over, working = asyncio.Event(), asyncio.Barrier(1 + len(PROTOCOLS))

    async def faults() -> None:
        await together(working)
        for node in range(3):
            whole.kill(node)
            await asyncio.sleep(7)  # the others notice after 6
            whole.restart(node)
            await asyncio.to_thread(whole.wait_ready)
        over.set()

    streams = {protocol: new_stream(group_protocol=protocol) for protocol in PROTOCOLS}
    scenarios = {
        name: survive(each, tmp_path / name, over, working) for name, each in streams.items()
    }
    await all_of({"the brokers": faults(), **scenarios})


@pytest.mark.parametrize("how", ["killed", pytest.param("frozen", marks=pytest.mark.slow)])
async def test_all_brokers_are_away(
    whole: KafkaCluster, new_stream: MakeStream, tmp_path: Path, how: str
) -> None:
    over, working = asyncio.Event(), asyncio.Barrier(2 + len(PROTOCOLS))
    gone, left = asyncio.Event(), asyncio.Event()

    async def faults() -> None:
        await together(working)
        started = time.monotonic()
        for node in range(3):
            (whole.kill if how == "killed" else whole.freeze)(node)
        await asyncio.sleep(AWAY / 2)
        gone.set()
        await asyncio.sleep(AWAY / 2)
        async with asyncio.timeout(LEAVING + 10):
            await left.wait()
        for node in range(3):
            (whole.restart if how == "killed" else whole.thaw)(node)
        await asyncio.to_thread(whole.wait_ready)
        print(f"all brokers {how}, back after {time.monotonic() - started:.1f} s")
        over.set()

    streams = {protocol: new_stream(group_protocol=protocol) for protocol in PROTOCOLS}
    scenarios = {
        name: survive(each, tmp_path / name, over, working) for name, each in streams.items()
    }
    scenarios["leaving"] = leave(new_stream(), tmp_path / "leaving", gone, left, working)
    await all_of({"the brokers": faults(), **scenarios})
    for name in streams:
        said = (tmp_path / name / "one.log").read_text("utf-8")
        assert " WARNING " in said or "waiting for the brokers" in said, said[-2000:]
