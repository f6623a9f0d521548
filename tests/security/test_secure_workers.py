"""Workers with no more rights than they need, on real brokers with TLS and ACLs."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from densefusion.settings import Kafka, Settings
from deploy.kafka.acls import Right
from tests.faults.crew import Crew
from tests.faults.scenarios import all_of, settings
from tests.faults.stream import Stream
from tests.security.conftest import RIGHTS, Brokers, NewStream

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def as_user(stream: Stream, kafka: Kafka) -> Settings:
    """A worker's settings on the stream, with the login of `kafka`."""
    login = kafka.model_copy(update={"prefix": stream.kafka.prefix})
    return settings(stream).model_copy(update={"kafka": login})


async def test_a_worker_with_the_least_rights(
    brokers: Brokers, new_stream: NewStream, tmp_path: Path
) -> None:
    """Consume, transform, produce, commit, in transactions; by password, and by certificate."""
    protocols = {
        "password": brokers.password("worker"),
        "certificate": brokers.certificate("worker"),
        "KIP-848": brokers.password("worker").model_copy(update={"group_protocol": "consumer"}),
    }

    async def pass_on(stream: Stream, kafka: Kafka, folder: Path) -> None:
        brokers.grant("worker", RIGHTS, stream.kafka.prefix)
        await asyncio.to_thread(stream.put, 200)
        with Crew(as_user(stream, kafka), folder) as crew:
            member = crew.join("one")
            await stream.expect_all(60)
            await member.leave()

    await all_of(
        {name: pass_on(new_stream(), kafka, tmp_path / name) for name, kafka in protocols.items()}
    )


MISSING = {
    "topic to read": (Right("topic", "in", "READ"), "consuming"),
    "topic to write": (Right("topic", "out", "WRITE"), "publishing or committing"),
    "group": (Right("group", "passing", "READ"), "consuming|publishing or committing"),
    "transactional id": (Right("transactional-id", "passing-*", "WRITE"), "no transactions"),
}


async def test_each_right_is_needed_and_told_where_it_lacks(
    brokers: Brokers, new_stream: NewStream, tmp_path: Path
) -> None:
    async def lacking(name: str, stream: Stream) -> None:
        right, _ = MISSING[name]
        brokers.grant("limited", [each for each in RIGHTS if each != right], stream.kafka.prefix)
        await asyncio.to_thread(stream.put, 20)
        with Crew(as_user(stream, brokers.password("limited")), tmp_path / name) as crew:
            member = crew.join("one")
            assert await member.ended(20) == 2
            ended = [line for line in member.log().splitlines() if line.startswith("ended: ")]
            assert len(ended) == 1 and "lacks the right" in ended[0], member.log()
            assert "uthorization failed" in ended[0]

    await all_of({name: lacking(name, new_stream()) for name in MISSING})


async def test_a_broker_starts_again(
    brokers: Brokers, new_stream: NewStream, tmp_path: Path
) -> None:
    """Whose password is another by then ends in seconds, not after `kafka.retry_for`; the others
    wait: a broker that goes in the middle of TLS or of a login has refused nobody."""
    streams = {name: new_stream() for name in ("leaver", "worker")}
    with contextlib.ExitStack() as stack:
        members = {}
        for name, stream in streams.items():
            brokers.grant(name, RIGHTS, stream.kafka.prefix)
            await asyncio.to_thread(stream.put, 20)
            own = as_user(stream, brokers.password(name))
            members[name] = stack.enter_context(Crew(own, tmp_path / name)).join("one")
        for stream in streams.values():
            await stream.expect_all(30)
        # Not deleted: Kafka 4.2 then loses every user when it starts again.
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        another = UserScramCredentialUpsertion("leaver", how, b"another")
        for done in brokers.admin.alter_user_scram_credentials([another]).values():
            done.result(20)
        brokers.cluster.kill(0)  # connections that are there would stay
        brokers.cluster.restart(0)

        assert await members["leaver"].ended(40) == 2
        said = members["leaver"].log()
        assert "ended: Kafka broker 127.0.0.1" in said and "refuses the user leaver" in said, said

        await asyncio.to_thread(brokers.cluster.wait_ready)
        # Its session may have outlived the broker: then it goes on, without a new assignment.
        await asyncio.to_thread(streams["worker"].put, 20)
        await streams["worker"].expect_all(60)
        await members["worker"].leave()
