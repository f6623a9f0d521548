"""Where a partition starts while a worker that died holds back what its group has committed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition

from densefusion import clients
from tests.faults.conftest import PARTITIONS, MakeStream
from tests.faults.crew import Crew, until
from tests.faults.passing_worker import Passing
from tests.faults.scenarios import PROTOCOLS, all_of, settings
from tests.faults.stream import Stream

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def left_open(stream: Stream, offsets: list[TopicPartition]) -> Producer:
    """A transaction of a worker that is no more; the group stands at `offsets`, too."""
    gone = clients.consumer(stream.kafka, Passing.name)
    try:
        gone.commit(offsets=offsets, asynchronous=False)
        dead = clients.producer(stream.kafka, f"{stream.kafka.prefix}dead")
        dead.init_transactions(20)
        dead.begin_transaction()
        dead.send_offsets_to_transaction(offsets, gone.consumer_group_metadata(), 20)
    finally:
        gone.close()
    return dead


async def held_back(stream: Stream, folder: Path) -> None:
    """The assignment changes twice before it is known where the group stands."""
    await asyncio.to_thread(stream.put, 80)
    into = await asyncio.to_thread(stream.read, "in", at_least=80)
    topic = stream.kafka.prefix + "in"
    done = [TopicPartition(topic, number, len(into[number])) for number in range(PARTITIONS)]
    dead = await asyncio.to_thread(left_open, stream, done)
    await asyncio.to_thread(stream.put, 80)
    with Crew(settings(stream), folder) as crew:
        first = crew.join("a")
        await until(lambda: len(first.holds()) == PARTITIONS, 30, "all partitions", first)
        second = crew.join("b")
        await until(lambda: len(second.holds()) == PARTITIONS // 2, 30, "its half", first, second)
        await first.leave()
        await until(lambda: len(second.holds()) == PARTITIONS, 30, "all partitions", second)
        await asyncio.sleep(2)
        assert not crew.times_begun(), "nobody can know yet where to begin"
        await asyncio.to_thread(dead.abort_transaction, 20)
        into = await asyncio.to_thread(stream.read, "in", at_least=160)
        out = await asyncio.to_thread(stream.read, "out", at_least=80)
        for place in done:
            number, stood = place.partition, place.offset
            assert out[number] == into[number][stood:], (
                f"partition {number}: {len(out[number])} records out, "
                f"of {len(into[number]) - stood} after {stood}\n{second.log()[-2000:]}"
            )
        await second.leave()


async def test_what_is_not_known_yet_is_not_the_beginning(
    new_stream: MakeStream, tmp_path: Path
) -> None:
    await all_of(
        {
            protocol: held_back(new_stream(group_protocol=protocol), tmp_path / protocol)
            for protocol in PROTOCOLS
        }
    )
