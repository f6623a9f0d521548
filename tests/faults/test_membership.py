"""Workers that come, leave and restart: nothing is done twice, and nobody waits long."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.conftest import PARTITIONS, MakeStream
from tests.faults.crew import Crew, until
from tests.faults.scenarios import PROTOCOLS, all_of, fed, settings
from tests.faults.stream import Stream, Watch

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
GOAL = 3.0  # seconds without an output when a worker comes or goes, on the consumer protocol


async def rolling_restart(stream: Stream, folder: Path) -> None:
    """Every worker in turn leaves and comes back under its name."""
    with Crew(settings(stream), folder) as crew:
        async with fed(stream, 40):
            members = [crew.join(name) for name in ("a", "b")]
            await until(
                lambda: all(len(each.holds()) == PARTITIONS // 2 for each in members),
                30, "the partitions to be shared out", *members,
            )  # fmt: skip
            for number, member in enumerate(members):
                others = [each for each in members if each is not member]
                had = member.holds()
                before = {each.label: len(each.events("assigned", "revoked")) for each in others}
                await member.leave()
                members[number] = again = crew.join(member.name)
                await until(lambda: again.holds() == had, 30, f"{had} again", again)  # noqa: B023
                await until(lambda: len(again.events("done")) > 5, 30, "work", again)  # noqa: B023
                for each in others:
                    assert len(each.events("assigned", "revoked")) == before[each.label], (
                        f"partitions of {each.label} moved:\n{each.log()[-2000:]}"
                    )
        await stream.expect_all()
        assert set(crew.times_begun().values()) == {1}
        for member in members:
            await member.leave()


async def test_a_rolling_restart_of_static_members_moves_no_partitions(
    new_stream: MakeStream, tmp_path: Path
) -> None:
    await all_of(
        {
            protocol: rolling_restart(
                new_stream(group_protocol=protocol, static_membership=True), tmp_path / protocol
            )
            for protocol in PROTOCOLS
        }
    )


async def hand_over(stream: Stream, folder: Path, *, goal: float) -> None:
    """One worker, then two, then one, with records in flight all the time."""
    with Crew(settings(stream), folder) as crew:
        async with Watch(stream) as watch, fed(stream, 100):
            one = crew.join("one", work=0.05)
            await until(lambda: watch.count > 100, 30, "output", one)
            pauses = {}
            since = time.monotonic()
            two = crew.join("two", work=0.05)
            await until(
                lambda: len(one.holds()) == len(two.holds()) == PARTITIONS // 2,
                30, "half of the partitions", one, two,
            )  # fmt: skip
            await until(lambda: len(two.events("done")) > 50, 30, "work", two)
            await asyncio.sleep(1)
            pauses["1 -> 2"] = watch.longest_gap(since)
            since = time.monotonic()
            await one.leave()
            await until(lambda: len(two.holds()) == PARTITIONS, 30, "all partitions", two)
            await asyncio.sleep(2)
            pauses["2 -> 1"] = watch.longest_gap(since)
        await stream.expect_all()
        twice = {place: count for place, count in crew.times_begun().items() if count > 1}
        assert not twice, f"worked on twice: {twice}"
        await two.leave()
    for change, pause in pauses.items():
        print(f"{folder.name}: {change} workers, {pause:.2f} s without output")
        assert pause < goal, f"{change}: {pause:.2f} s"


async def test_a_graceful_hand_over_does_nothing_twice(
    new_stream: MakeStream, tmp_path: Path
) -> None:
    goals = {"classic": 10.0, "consumer": GOAL}
    await all_of(
        {
            protocol: hand_over(
                new_stream(group_protocol=protocol), tmp_path / protocol, goal=goals[protocol]
            )
            for protocol in PROTOCOLS
        }
    )
