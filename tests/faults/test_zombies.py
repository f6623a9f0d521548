"""A worker that was stopped for longer than its session, and then goes on, commits nothing."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from tests.faults.conftest import PARTITIONS, MakeStream
from tests.faults.crew import Crew, Member, until
from tests.faults.scenarios import PROTOCOLS, all_of, fed, settings
from tests.faults.stream import Stream, committed_offsets

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
FENCED = "ended: fenced: another worker runs under the same instance name"


async def zombie(stream: Stream, folder: Path, *, moment: str) -> None:
    with Crew(settings(stream), folder) as crew:
        async with fed(stream, 40):
            await _zombie(stream, crew, moment)
        await stream.expect_all()
        for member in crew.members:
            if member.code() is None:
                await member.leave()
        await stream.expect_all()  # what was open is closed, and nothing more has come
    ends = await asyncio.to_thread(stream.read, "in", at_least=stream.sent)
    stands = await asyncio.to_thread(committed_offsets, stream.kafka, "passing")
    assert stands == {number: len(values) for number, values in ends.items()}


async def _zombie(stream: Stream, crew: Crew, moment: str) -> None:
    old = crew.join("old", work=0.05, stop="" if moment == "work" else f"{moment}:3")
    if moment == "work":
        await until(lambda: len(old.events("done")) > 50, 30, "work", old)
        old.freeze()
    else:
        await until(old.frozen, 30, "the old worker to stop in its transaction", old)
    new = crew.join("new", work=0.005)
    took = await until(lambda: len(new.holds()) == PARTITIONS, 90, "a take-over", new)
    assert took > 3, "the old worker had no partitions, or gave them up by itself"
    if moment != "offsets":  # else the new one has to wait for the outcome of that transaction
        await until(lambda: len(new.events("done")) > 50, 60, "the new worker's work", new)

    old.thaw()
    # It comes back as any other worker does, or ends and says why.
    await until(
        lambda: (bool(old.events("revoked")) and len(old.holds() | new.holds()) == PARTITIONS)
        or old.code() is not None,
        90, "the partitions to be shared out again", old, new,
    )  # fmt: skip
    if old.code() is not None:
        assert old.code() == 2 and FENCED in old.log(), old.log()[-2000:]


async def test_a_zombie_commits_nothing(new_stream: MakeStream, tmp_path: Path) -> None:
    """Stopped in mid-work, with everything produced, and with its offsets sent as well.

    The last is the one transaction that may still be committed, since the brokers had accepted its
    offsets from a member; until it is decided, they keep the new worker waiting for the offsets.
    """
    scenarios = {}
    moments = ("work", "produced", "offsets")
    for protocol, static, moment in itertools.product(PROTOCOLS, (False, True), moments):
        name = f"{protocol}-{'static' if static else 'dynamic'}-{moment}"
        stream = new_stream(group_protocol=protocol, static_membership=static)
        scenarios[name] = zombie(stream, tmp_path / name, moment=moment)
    await all_of(scenarios)


def kept_out(member: Member) -> bool:
    """Whether it stands before a group that does not let it in (KIP-848), and holds nothing.

    A static member whose session ran out may be there before it learns that its producer is fenced.
    It waits as one does whose dead predecessor is still counted, and ends when its patience does.
    """
    return "waiting to join the group" in member.log() and not member.holds()


async def namesake(stream: Stream, folder: Path, *, asleep: bool) -> None:
    """Two workers under one name: the one that came later stays."""
    with Crew(settings(stream), folder) as crew:
        async with fed(stream, 40):
            old = crew.join("same", work=0.05)
            await until(lambda: len(old.events("done")) > 50, 30, "work", old)
            if asleep:
                old.freeze()
            new = crew.join("same", work=0.005)
            await until(lambda: len(new.events("done")) > 20, 60, "its work", new, old)
            old.thaw()
            await until(lambda: old.code() is not None or kept_out(old), 40, "its end", old, new)
            if old.code() is not None:
                assert old.code() == 2 and FENCED in old.log(), old.log()[-2000:]
            await asyncio.sleep(3)  # a member learns of its end with its next heartbeat
            if new.code() is not None:
                # An old one that comes back takes its place in the group, before it learns that its
                # producer is fenced. So both end, and whoever starts them starts this one again.
                assert stream.kafka.static_membership and FENCED in new.log(), new.log()[-2000:]
                new = crew.join("same")
        await stream.expect_all()
        for member in (new, old):
            if member.code() is None:
                await member.leave()


async def test_the_older_of_two_workers_of_one_name_ends_and_says_so(
    new_stream: MakeStream, tmp_path: Path
) -> None:
    cases = itertools.product(PROTOCOLS, (False, True), (False, True))
    scenarios = {}
    for protocol, static, asleep in cases:
        name = f"{protocol}-{'static' if static else 'dynamic'}-{'asleep' if asleep else 'awake'}"
        stream = new_stream(group_protocol=protocol, static_membership=static)
        scenarios[name] = namesake(stream, tmp_path / name, asleep=asleep)
    await all_of(scenarios)
