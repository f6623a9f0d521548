"""What `/healthz` and `/readyz` say of workers that are stuck, spare, or alone, on real servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from confluent_kafka import Consumer

from consumers.client_stats import ClientStats
from consumers.outputs import Outputs
from consumers.source import TopicSource
from consumers.stage import Emit, Record
from consumers.starting import Starting
from consumers.transaction import Transactions
from consumers.worker import Worker
from densefusion import clients
from densefusion.health import Health
from densefusion.servers import free_ports
from densefusion.settings import Kafka, Settings, environment
from densefusion.settings import Worker as WorkerSettings
from densefusion.stack import EmbeddedStack
from densefusion.store import ObjectStore
from densefusion.topics import REJECTS, Topics, all_topics
from schemas import Codec

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
Cli = Callable[..., "subprocess.Popen[str]"]
STUCK_AFTER = 1.5  # seconds; the setting takes no less than 60


class Probe:
    """Asks one worker process."""

    def __init__(self, port: int) -> None:
        self._http = urllib3.PoolManager(timeout=3.0, retries=False)
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, dict[str, str]]:
        """Status, and why it is not 200."""
        answer = self._http.request("GET", self._url + path)
        said = answer.json()
        assert said["ok"] is (answer.status == 200)
        return answer.status, said["why"]

    def metric(self, name: str) -> float:
        """The sum of its series."""
        text = self._http.request("GET", f"{self._url}/metrics").data.decode()
        samples = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def wait(self, path: str, status: int, why: str = "", seconds: float = 30.0) -> dict[str, str]:
        """Until it answers so; what it said."""
        until = time.monotonic() + seconds
        found: object = None
        while time.monotonic() < until:
            try:
                found = got, said = self.get(path)
                if got == status and why in json.dumps(said):
                    return said
            except urllib3.exceptions.HTTPError as error:
                found = error
            time.sleep(0.05)
        raise AssertionError(f"{path}: {found}, not {status} {why!r} after {seconds:g} s")


class Blocking:
    """A stage of this test, whose author forgot that a loop must not be blocked."""

    name = "blocking"

    def __init__(self) -> None:
        self.blocked = threading.Event()
        self.go = threading.Event()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        if record.value["url"] == "block":
            self.blocked.set()
            self.go.wait(20)
        return []


class Hanging(Consumer):
    """A consumer whose next call hangs in the client, once told to."""

    hang = threading.Event()
    go = threading.Event()

    def consume(self, *arguments: Any, **options: Any) -> Any:
        if self.hang.is_set():
            self.go.wait(20)
        return super().consume(*arguments, **options)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("stack"), durable=False) as stack:
        yield stack


@pytest.fixture
def kafka(stack: EmbeddedStack) -> Kafka:
    return stack.apply(Settings()).kafka


def prepared(kafka: Kafka, prefix: str) -> Kafka:
    kafka = kafka.model_copy(update={"prefix": prefix, "partitions": 1})
    Topics(kafka, clients.common(kafka)).create(["in"])
    return kafka


@contextmanager
def running(kafka: Kafka, stage: Blocking, instance: str = "0") -> Iterator[Probe]:
    """A worker, in a thread, and its server."""
    codec, stats = Codec(), ClientStats(stage.name)
    config = WorkerSettings(commit_interval=0.2, offset_transactions=False)
    worker = Worker(
        stage,
        TopicSource({kafka.prefix + "in": "ImageUrl"}, codec),
        lambda: clients.consumer(kafka, stage.name, on_stats=stats),
        Transactions(partial(clients.producer, kafka, f"{kafka.prefix}{instance}")),
        Outputs(stage.name, codec, kafka.prefix),
        config.model_copy(update={"stuck_after": STUCK_AFTER}),
        Starting(kafka),
        in_flight=4,
        stats=stats,
    )
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await worker.run()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    with Health(0, "127.0.0.1") as health:
        health.workers = [worker.pulse]
        thread.start()
        try:
            yield Probe(health.port)
        finally:
            loops[0].call_soon_threadsafe(worker.stop)
            thread.join(30)
            assert not thread.is_alive()


def put(kafka: Kafka, url: str) -> None:
    fields = {"url_id": "1", "url": url, "published_at": datetime.now(UTC)}
    producer = clients.producer(kafka)
    producer.produce(kafka.prefix + "in", Codec().encode("ImageUrl", fields, "in"), "1")
    assert producer.flush(20) == 0


def test_a_blocked_event_loop_is_told_while_it_lasts(kafka: Kafka) -> None:
    kafka, stage = prepared(kafka, "loop."), Blocking()
    with running(kafka, stage) as probe:
        probe.wait("/readyz", 200)
        put(kafka, "block")
        assert stage.blocked.wait(20)
        said = probe.wait("/healthz", 503, seconds=STUCK_AFTER + 3)
        assert "has not polled for" in said["blocking"]
        assert probe.get("/readyz")[0] == 503
        assert probe.metric('densefusion_worker_ready{stage="blocking"}') == 0
        stage.go.set()
        probe.wait("/healthz", 200)
        probe.wait("/readyz", 200)
        assert probe.metric('densefusion_worker_ready{stage="blocking"}') == 1


def test_a_call_that_hangs_in_the_client_is_told(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "Consumer", Hanging)
    with running(prepared(kafka, "poll."), Blocking()) as probe:
        probe.wait("/readyz", 200)
        Hanging.hang.set()
        try:
            probe.wait("/healthz", 503, "has not polled for", STUCK_AFTER + 3)
        finally:
            Hanging.hang.clear()
            Hanging.go.set()
        probe.wait("/healthz", 200)


def test_more_workers_than_partitions_are_all_ready(kafka: Kafka) -> None:
    kafka = prepared(kafka, "spare.")
    with ExitStack() as stack:
        probes = [stack.enter_context(running(kafka, Blocking(), each)) for each in ("a", "b")]
        for probe in probes:
            probe.wait("/readyz", 200)
        time.sleep(6)  # the client has told of itself, and of its brokers
        assert [probe.get("/readyz")[0] for probe in probes] == [200, 200]


def test_a_lost_store_costs_readiness_and_no_restart(cli: Cli, stack: EmbeddedStack) -> None:
    with process(cli, stack, timeout=1) as (probe, settings):
        pid = stack.pids()["object store"]
        os.kill(pid, signal.SIGSTOP)
        try:
            reject(settings.kafka)
            assert "store" in probe.wait("/readyz", 503, "object store")
            assert probe.get("/healthz") == (200, {})
            assert probe.metric("densefusion_store_errors_total") > 0
        finally:
            os.kill(pid, signal.SIGCONT)
        probe.wait("/readyz", 200)


def test_a_lost_broker_costs_readiness_and_no_restart(cli: Cli, tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path, durable=True) as stack, process(cli, stack) as (probe, _):
        for pid in stack.pids().values():  # asked to stop, the broker would take its time
            os.kill(pid, signal.SIGKILL)
        stack.stop()
        assert "dataset" in probe.wait("/readyz", 503, "no broker is connected")
        assert probe.get("/healthz") == (200, {})
        assert probe.metric("densefusion_kafka_brokers_up") == 0
        stack.start()  # at the same addresses
        probe.wait("/readyz", 200)


@contextmanager
def process(cli: Cli, stack: EmbeddedStack, **store: float) -> Iterator[tuple[Probe, Settings]]:
    """A ready worker of the dataset, as a user starts it; it lives on to the end."""
    settings = stack.apply(Settings(kafka={"partitions": 1}, store=store))
    topics = Topics(settings.kafka, clients.common(settings.kafka))
    topics.create(all_topics(settings.experts.roster))
    bucket = ObjectStore(settings.store)
    bucket.make_bucket()
    bucket.close()
    (port,) = free_ports(1)
    started = cli("worker", "dataset", "--metrics-port", str(port), **environment(settings))
    try:
        probe = Probe(port)
        probe.wait("/readyz", 200)
        yield probe, settings
        assert started.poll() is None
    finally:
        started.terminate()
        started.communicate(timeout=30)


def reject(kafka: Kafka) -> None:
    fields = {
        "url_id": "1", "url": "http://a/", "image_id": None, "stage": "fetch", "reason": "dns",
        "detail": "", "duplicate_of": None, "rejected_at": datetime.now(UTC), "attempt": 1,
        "input": None,
    }  # fmt: skip
    producer = clients.producer(kafka)
    producer.produce(kafka.prefix + REJECTS, Codec().encode("Reject", fields, REJECTS), "1")
    assert producer.flush(20) == 0
