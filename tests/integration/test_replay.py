"""Rejects and dead letters put back, on the embedded stack: once, byte for byte, up to the cap."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from confluent_kafka import Consumer, Message, TopicPartition

from consumers.roster import log_id, make_codec, make_topics
from densefusion import clients
from densefusion.replay import Claims, Kind, Replay, Selection
from densefusion.settings import Experts, Fetch, Settings, environment
from densefusion.stack import EmbeddedStack
from densefusion.store import ObjectStore
from densefusion.topics import FETCHED, all_topics
from producers.publish import publish
from producers.rows import Row, url_id

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]
ROOT = Path(__file__).parents[2]
PICTURES = ("cat", "coffee", "rocket", "bird", "temple")
STAGES = ("fetch", "curate", "knowledge", "fusion", "dataset")
PARTITIONS = 2
Command = Callable[..., dict[str, Any]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> int:
    """Of a server that is down at first."""
    return free_port()


@pytest.fixture(scope="module")
def never() -> int:
    """Of one that does not come up."""
    return free_port()


@pytest.fixture(scope="module")
def settings(port: int, never: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    hosts = [f"127.0.0.1:{port}", f"127.0.0.1:{never}"]
    with EmbeddedStack(tmp_path_factory.mktemp("stack"), durable=False) as stack:
        given = stack.apply(Settings())
        kafka = given.kafka.model_copy(update={"prefix": "re.", "partitions": PARTITIONS})
        fetch = Fetch(attempts=1, connect_timeout=2, allow_hosts=hosts)
        experts = Experts(roster=["knowledge"])
        changed = {"kafka": kafka, "fetch": fetch, "experts": experts}
        given = given.model_copy(update=changed)
        store = ObjectStore(given.store)
        store.make_bucket()
        store.close()
        make_topics(given).create(all_topics(given.experts.roster))
        time.sleep(0.5)
        yield given


@pytest.fixture(scope="module", autouse=True)
def workers(cli: Any, settings: Settings) -> Iterator[None]:
    """Every stage of the stream, in one process."""
    process: subprocess.Popen[str] = cli("worker", *STAGES, **environment(settings))
    yield
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err[-4000:]


@asynccontextmanager
async def pictures(port: int) -> AsyncIterator[None]:
    async def give(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(ROOT / "examples" / f"{request.match_info['name']}.jpg")

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


@pytest.fixture
def command(cli: Any, settings: Settings) -> Command:
    """Runs ``densefusion replay ... --json``; its object, with the exit code."""

    def run(*arguments: str) -> dict[str, Any]:
        process: subprocess.Popen[str] = cli(
            "replay", *arguments, "--json", **environment(settings)
        )
        out, err = process.communicate(timeout=120)
        assert out, err
        return {**json.loads(out), "exit_code": process.returncode}

    return run


async def replayed(settings: Settings, kind: Kind, **conditions: Any) -> dict[str, Any]:
    """What the command does, in this process: it starts faster."""
    found = make_topics(settings).verify(all_topics(settings.experts.roster))
    store = ObjectStore(settings.store)
    claims = Claims(store, found[FETCHED].name, log_id(found[FETCHED]))
    selection = Selection(**conditions)
    one = Replay(kind, selection, settings.kafka, found, make_codec(settings), claims)
    report = await asyncio.to_thread(one.run)
    store.close()
    return report.as_object()


def put(settings: Settings, urls: list[str]) -> None:
    publish(
        [Row(url) for url in urls],
        producer=clients.producer(settings.kafka),
        topic="re.urls",
        codec=make_codec(settings),
        run="r1",
    )


def got(settings: Settings, topic: str) -> list[Message]:
    """Every committed message of a topic, in the order of its partitions."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap, "group.id": "reader",
         "isolation.level": "read_committed", "enable.auto.commit": False}
    )  # fmt: skip
    consumer.assign([TopicPartition(f"re.{topic}", n, 0) for n in range(PARTITIONS)])
    found: list[Message] = []
    quiet = 0
    while quiet < 3:
        messages = [m for m in consumer.consume(1000, 0.2) if m.error() is None]
        quiet = 0 if messages else quiet + 1
        found += messages
    consumer.close()
    return sorted(found, key=lambda m: (m.partition(), m.offset()))


async def until(
    settings: Settings, topic: str, count: int, key: str | None = None, seconds: float = 40
) -> list[Message]:
    """The messages of a topic (with this key), once there are so many."""
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(got, settings, topic)
        found = [m for m in found if key is None or m.key() == key.encode()]
        if len(found) >= count:
            assert len(found) == count
            return found
        assert time.monotonic() < deadline, f"{topic}: {len(found)} of {count}"


def attempts(messages: list[Message]) -> list[str]:
    return sorted(
        (dict(message.headers() or []).get("replay-attempt") or b"1").decode()  # type: ignore[union-attr]
        for message in messages
    )


def essence(message: Message) -> tuple[Any, ...]:
    headers = [each for each in message.headers() or [] if each[0] != "replay-attempt"]
    return message.partition(), message.key(), message.value(), headers


async def test_rejects_come_back_and_end_in_captions(
    settings: Settings, port: int, command: Command
) -> None:
    urls = [f"http://127.0.0.1:{port}/{name}" for name in PICTURES]
    put(settings, [*urls, "http://127.0.0.1:1/private"])
    rejects = await until(settings, "rejects", len(urls) + 1)
    assert attempts(rejects) == ["1"] * 6
    seen = await asyncio.to_thread(command, "rejects", "--dry-run")
    assert {each["what"]: each["records"] for each in seen["counts"]} == {
        "connect": 5, "private-address": 1,
    }  # fmt: skip
    async with pictures(port):
        some = ("rejects", "--reason", "con*", "--stage", "fetch", "--since", "1h", "--limit", "2")
        said = await asyncio.to_thread(command, *some)
        assert (said["put_back"], said["over_limit"], said["exit_code"]) == (2, 3, 0), said
        said = await replayed(settings, Kind.REJECTS, reasons=["connect"])
        assert (said["put_back"], said["already"], said["moved"]) == (3, 2, 0), said
        captions = await until(settings, "captions", len(urls))
        assert attempts(captions) == ["2"] * 5
        again = await replayed(settings, Kind.REJECTS, reasons=["connect"])
        assert (again["put_back"], again["already"]) == (0, 5), again
    sent = await asyncio.to_thread(got, settings, "urls")
    first = [essence(m) for m in sent if attempts([m]) == ["1"]]
    second = [essence(m) for m in sent if attempts([m]) == ["2"]]
    assert len(first) == 6 and len(second) == 5
    assert all(each in first for each in second) and second[0][3] == [("run", b"r1")]
    codec = make_codec(settings)
    captions = await asyncio.to_thread(got, settings, "captions")
    ended = [codec.decode("Caption", m.value())["image"]["url"] for m in captions]
    assert sorted(ended) == sorted(urls)


async def test_what_fails_every_time_is_left_at_the_cap(settings: Settings, never: int) -> None:
    gone = f"http://127.0.0.1:{never}/gone"
    put(settings, [gone])
    key = url_id(gone)
    for attempt in (1, 2, 3):
        rejects = await until(settings, "rejects", attempt, key)
        assert attempts(rejects) == ["1", "2", "3"][:attempt]
        said = await replayed(settings, Kind.REJECTS, reasons=["connect"])
        assert said["put_back"] == (1 if attempt < 3 else 0), said
    assert said["at_cap"] == 1
    (left,) = said["left"]
    assert left["subject"] == gone and left["attempt"] == 3 and "of 3" in left["why"]
    codec = make_codec(settings)
    assert sorted(codec.decode("Reject", m.value())["attempt"] for m in rejects) == [1, 2, 3]


async def test_dead_letters_come_back_byte_for_byte(settings: Settings, command: Command) -> None:
    headers: list[tuple[str, Any]] = [("x", b"\xff\x00"), ("empty", None), ("x", b"again")]
    producer = clients.producer(settings.kafka)
    for topic in ("urls", "images"):
        producer.produce(f"re.{topic}", b"\xc3\x01 no avro", b"bad", headers=headers)
    assert producer.flush(20) == 0
    # Of fetch; and of knowledge and fusion, both for the same record of `images`.
    dead = await until(settings, "dead-letters", 3, "bad")
    assert attempts(dead) == ["1"] * 3
    said = await asyncio.to_thread(command, "dead-letters")
    assert (said["put_back"], said["no_way"], said["exit_code"]) == (2, 1, 1), said
    (left,) = said["left"]
    assert left["stage"] == "knowledge" and "captioned twice" in left["why"]
    dead = await until(settings, "dead-letters", 6, "bad")
    assert attempts(dead) == ["1"] * 3 + ["2"] * 3
    for topic in ("urls", "images"):
        sent = [m for m in await asyncio.to_thread(got, settings, topic) if m.key() == b"bad"]
        first, second = sent
        assert essence(first) == essence(second) and essence(first)[3] == headers
        assert attempts(sent) == ["1", "2"]
    again = await replayed(settings, Kind.DEAD_LETTERS, topics=["urls"])
    assert (again["put_back"], again["already"]) == (1, 1)  # its second attempt, not its first
