"""What a worker's membership of its group bears, with a scripted consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers import membership, starting
from consumers.membership import Membership, Places
from consumers.starting import Starting
from densefusion.errors import BrokerError, Refused
from densefusion.settings import Kafka
from tests.consumers.messages import message
from tests.consumers.scripted_consumer import A, Failed, ScriptedConsumer

AWAY = KafkaError(KafkaError._TIMED_OUT, "timed out")
RIGHT = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "not authorized")
UNRELEASED = KafkaError(KafkaError._FATAL, "instance id still used by another member", fatal=True)


class Hanging:
    """Does nothing when partitions come; when they go, what `hang` says."""

    def __init__(self) -> None:
        self.hang = False
        self.undone = False

    async def assigned(self, partitions: Places) -> None: ...

    async def revoked(self, partitions: Places, *, commit: bool) -> None:
        if self.hang:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.undone = True
                raise


class World:
    def __init__(self, patience: float = 5.0) -> None:
        self.consumers: list[ScriptedConsumer] = []
        self.failures: list[BaseException] = []
        self.rebalanced = Hanging()
        self.member = Membership(
            self._make,  # type: ignore[arg-type]
            [A[0]], self.rebalanced, self.failures.append, Starting(Kafka(retry_for=patience)),
            patience=patience,
        )  # fmt: skip
        self.member.join()

    def _make(self) -> ScriptedConsumer:
        self.consumers.append(ScriptedConsumer())
        return self.consumers[-1]

    @property
    def consumer(self) -> ScriptedConsumer:
        return self.consumers[-1]

    async def poll(
        self, *does: Callable[[ScriptedConsumer], list[Any]], rewinds: Places | None = None
    ) -> None:
        self.consumer.polls += does
        await self.member.poll(10, rewinds or set())


def assign(consumer: ScriptedConsumer) -> list[Any]:
    return consumer.call_back("on_assign")


def refuse(consumer: ScriptedConsumer) -> list[Any]:
    return [Failed(UNRELEASED)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(starting, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(membership, "_UNRELEASED_SECONDS", 0.0)


async def test_brokers_that_are_away_are_asked_again() -> None:
    world = World()
    world.consumer.asked = [AWAY, AWAY]
    (found,) = await world.member.committed([TopicPartition(*A)])
    assert found.offset == 7


@pytest.mark.parametrize(
    ("error", "kind"), [(AWAY, BrokerError), (RIGHT, Refused)], ids=["away", "no right"]
)
async def test_not_for_ever(error: KafkaError, kind: type[BrokerError]) -> None:
    world = World(patience=0.1 if kind is BrokerError else 60.0)
    world.consumer.asked = [error] * 1000
    async with asyncio.timeout(5):
        with pytest.raises(kind):
            await world.member.committed([TopicPartition(*A)])


async def test_an_offset_that_nobody_knows_is_not_the_beginning() -> None:
    """One partition's answer may be an error: reading it from its start would do all twice."""
    world = World(patience=0.1)
    await world.poll(assign)
    world.consumer.error = AWAY
    with pytest.raises(BrokerError, match="where the group stands"):
        while world.consumer.consumed < 10_000:
            await world.poll(rewinds={A})
    assert world.consumer.sought == []


async def test_what_was_forgotten_comes_no_more_until_it_can_be_read_again() -> None:
    world = World()
    await world.poll(assign)
    world.consumer.asked = [AWAY, AWAY]
    await world.poll(rewinds={A})
    world.member.pause(set())
    assert world.consumer.paused == {A} and world.consumer.sought == []
    while not world.consumer.sought:
        await world.poll()
        world.member.pause(set())
    assert world.consumer.paused == set() and world.consumer.sought == [7]
    await world.poll()
    assert world.consumer.sought == [7]


async def test_what_cannot_be_read_again_may_be_lost_meanwhile() -> None:
    """Brokers that do not know us any more say so to every question, until we have joined anew."""
    world = World()
    await world.poll(assign)
    world.consumer.asked = [KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "unknown")] * 1000
    async with asyncio.timeout(5):
        await world.poll(rewinds={A})
        await world.poll(lambda consumer: consumer.call_back("on_lost"))
        while world.member.assigned:
            await world.poll()
    world.consumer.asked = []
    await world.poll()
    assert world.consumer.sought == []


async def test_what_was_refused_long_ago_does_not_count_after_an_assignment() -> None:
    world = World(patience=0.1)
    await world.poll(refuse)
    await world.poll(assign)
    await asyncio.sleep(0.2)  # a quiet stream
    await world.poll(refuse)
    with pytest.raises(BrokerError, match="fenced"):
        await asyncio.sleep(0.2)
        await world.poll(refuse)


async def test_a_consumer_that_is_being_made_anew_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit may be under way when the group is joined anew; it fails as any other does."""
    monkeypatch.setattr(membership, "_UNRELEASED_SECONDS", 0.2)
    world = World()
    again = asyncio.create_task(world.poll(refuse))
    while not world.consumer.closed:
        await asyncio.sleep(0.01)
    with pytest.raises(KafkaException, match="closed"):
        await world.member.commit([TopicPartition(*A)])
    (found,) = await world.member.committed([TopicPartition(*A)])
    assert found.offset == 7 and len(world.consumers) == 2
    await again


async def test_a_rebalance_that_was_not_handled_in_time_is_not_committed_as_a_later_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "_REBALANCE_SECONDS", 0.2)
    world = World()
    await world.poll(assign)

    def revoke(consumer: ScriptedConsumer) -> list[Any]:
        consumer.call_back("on_revoke")
        consumer.generation = 2  # the group has gone on: what we hold is another's
        return []

    world.rebalanced.hang = True
    await world.poll(revoke)
    await asyncio.sleep(0.05)
    assert isinstance(world.failures[0], BrokerError)
    assert world.member.group == 1, "with this the brokers refuse it"
    assert world.rebalanced.undone


async def test_nobody_resumes_what_has_no_start_yet() -> None:
    world = World()
    world.consumer.asked = [AWAY]
    await world.poll(assign)
    world.member.pause({A})
    world.member.pause(set())
    assert world.consumer.paused == {A}
    await asyncio.sleep(0.02)
    await world.poll()
    world.member.pause(set())
    assert world.consumer.sought == [7] and not world.consumer.paused


async def test_what_was_taken_away_and_came_back_within_a_poll_is_read_from_its_start() -> None:
    """A poll takes two steps: what the first one gave is read again, once the second has both."""
    world = World()
    await world.poll(assign)
    old, new = message(*A, 7), message(*A, 7)

    def again(consumer: ScriptedConsumer) -> list[Any]:
        consumer.call_back("on_revoke")
        consumer.call_back("on_assign")
        return [new]

    world.consumer.polls = [lambda consumer: [old], again]
    (found,) = await world.member.poll(10, set())
    assert found is new
