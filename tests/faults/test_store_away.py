"""The object store is away, hangs, or has no room: the workers wait, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from densefusion.settings import Settings
from densefusion.stack import EmbeddedStack
from densefusion.store import ObjectStore
from tests.faults.conftest import MakeStream
from tests.faults.crew import Crew, Member, until
from tests.faults.scenarios import fed, settings
from tests.faults.stream import Stream, Watch

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
AWAY = float(os.environ.get("FAULT_SECONDS", "10"))
Fault = Callable[[Member], Awaitable[None]]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    """The embedded stack, for its object store alone."""
    with EmbeddedStack(tmp_path / "stack", durable=False) as running:
        yield running


def with_store(stack: EmbeddedStack, stream: Stream) -> Settings:
    """Settings of workers that wait no more than a few seconds for one answer of the store."""
    ours = settings(stream)
    store = stack.apply(ours).store.model_copy(update={"timeout": 3.0})
    ObjectStore(store).make_bucket()
    return ours.model_copy(update={"store": store})


async def survive(ours: Settings, stream: Stream, folder: Path, fault: Fault) -> None:
    with Crew(ours, folder) as crew:
        member = crew.join("one", store=True)
        async with Watch(stream) as watch:
            async with fed(stream, 20):
                await until(lambda: watch.count > 40, 30, "output", member)
                await fault(member)
                before = watch.count
                await until(lambda: watch.count > before + 40, 150, "output again", member)
            gap = watch.longest_gap()
        await stream.expect_all(90)
        said = member.log()
        assert "object store fails, trying again" in said, said[-2000:]
        await member.leave()
    store = ObjectStore(ours.store)
    keys = await asyncio.to_thread(lambda: list(store.keys("passed/")))
    assert len(keys) == stream.sent
    store.close()
    print(f"{stream.sent} records, longest stall {gap:.1f} s")


async def test_the_store_hangs(
    stack: EmbeddedStack, new_stream: MakeStream, tmp_path: Path
) -> None:
    async def fault(_: Member) -> None:
        os.kill(stack.pids()["object store"], signal.SIGSTOP)
        await asyncio.sleep(AWAY)
        os.kill(stack.pids()["object store"], signal.SIGCONT)

    stream = new_stream()
    await survive(with_store(stack, stream), stream, tmp_path / "crew", fault)


@pytest.mark.slow
async def test_the_store_is_killed_and_comes_back(
    stack: EmbeddedStack, new_stream: MakeStream, tmp_path: Path
) -> None:
    async def fault(_: Member) -> None:
        was = stack.s3
        os.kill(stack.pids()["object store"], signal.SIGKILL)
        await asyncio.to_thread(stack.stop)
        await asyncio.sleep(AWAY)
        stack.start()
        assert stack.s3 == was, "its port was taken meanwhile"

    stream = new_stream()
    await survive(with_store(stack, stream), stream, tmp_path / "crew", fault)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no small disk to fill, since this user may not mount one: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


async def test_the_disk_under_the_store_is_full(new_stream: MakeStream, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk, EmbeddedStack(disk, durable=False) as stack:
        filler = disk / "filler"

        async def fault(_: Member) -> None:
            await asyncio.to_thread(fill, filler)
            await asyncio.sleep(AWAY)
            filler.unlink()
            # Once its own records of what it holds could not be written, SeaweedFS says "no space
            # left" until it is started again. The workers are not.
            await asyncio.to_thread(stack.stop)
            stack.start()

        stream = new_stream()
        await survive(with_store(stack, stream), stream, tmp_path / "crew", fault)


def fill(file: Path) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(1 << 20))
    with file.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(512))
