"""The Kafka client's own lines go to our log, not straight to standard error."""

from __future__ import annotations

import time

import pytest
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from densefusion import clients
from densefusion.servers import free_ports
from densefusion.settings import Kafka


def test_librdkafka_logs_through_our_logger(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (nobody,) = free_ports(1)
    settings = Kafka(bootstrap=f"127.0.0.1:{nobody}", options={"log_level": SecretStr("7")})
    caplog.set_level("INFO")
    consumer = clients.consumer(settings, "g")
    producer = clients.producer(settings)
    AdminClient(clients.common(settings))  # its lines are only seen where it is polled
    until = time.monotonic() + 10
    try:
        consumer.subscribe(["urls"])
        while time.monotonic() < until:
            consumer.consume(1, 0.05)
            producer.poll(0.05)
            said = [r for r in caplog.records if r.name == "densefusion.librdkafka"]
            if {"consumer", "producer"} <= {w for r in said for w in _kinds(r.getMessage())}:
                break
        else:
            pytest.fail("librdkafka said nothing to our logger")
    finally:
        consumer.close()
    errors = [r for r in caplog.records if r.getMessage() == "kafka error"]
    assert errors and "refused" in errors[0].error  # type: ignore[attr-defined]
    raw = [line for line in capfd.readouterr().err.splitlines() if line.startswith("%")]
    assert raw == []


def _kinds(line: str) -> list[str]:
    return [kind for kind in ("consumer", "producer") if f"#{kind}-" in line]
