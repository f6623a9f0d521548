"""Kafka clients: one place that says how every producer and consumer is set up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer

from densefusion.errors import SettingsError
from densefusion.reach import Admin, OnError
from densefusion.security import kafka_options
from densefusion.settings import Kafka

# What librdkafka says for itself, from within polls and flushes; else it writes to standard error.
_LIBRDKAFKA = logging.getLogger("densefusion.librdkafka")

# murmur2_random is the Java client's partitioner: Java and Python producers agree on a key's place.
_PARTITIONER = "murmur2_random"
# A worker that dies in a transaction holds up the readers of committed records for so long.
TRANSACTION_SECONDS = 30
_STATISTICS_MS = 5000
LARGEST = 1_000_000  # bytes of a message, as librdkafka has it


def common(settings: Kafka) -> dict[str, Any]:
    """What every client needs to reach the brokers.

    A call of the client raises `errors.Refused` where the brokers do not accept our login.

    Raises:
        SettingsError: no brokers are named.
    """
    return {**_quiet(settings), "error_cb": OnError(settings, lambda: _quiet(settings))}


def admin(settings: Kafka) -> Admin:
    """An admin client. Raises `SettingsError`."""
    return Admin(settings, _quiet(settings))


def _quiet(settings: Kafka) -> dict[str, Any]:
    if settings.bootstrap is None:
        raise SettingsError("no brokers: set DENSEFUSION_KAFKA__BOOTSTRAP")
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": "densefusion",
        # librdkafka would log a line for each failed connection; error_cb has them.
        "log_level": 2,
        "logger": _LIBRDKAFKA,
        **kafka_options(settings.security),
        **{name: value.get_secret_value() for name, value in settings.options.items()},
    }


def largest(settings: Kafka) -> int:
    """Bytes of the largest message that `producer` takes. Raises `SettingsError`."""
    option = settings.options.get("message.max.bytes")
    if option is None:
        return LARGEST
    try:
        return int(option.get_secret_value())
    except ValueError as error:
        raise SettingsError("kafka.options: message.max.bytes is no number") from error


def producer(
    settings: Kafka,
    transactional_id: str | None = None,
    *,
    on_fatal: Callable[[KafkaError], None] | None = None,
    on_stats: Callable[[str], None] | None = None,
) -> Producer:
    """An idempotent producer; a transactional one where an id is given.

    Args:
        on_fatal: called, from within the producer's calls, with an error that ends the producer.
            The exceptions that its calls raise afterwards do not always say which it was.
        on_stats: called from within `poll`, every few seconds, with the client's statistics.
    """

    shared = common(settings)
    said = shared["error_cb"]

    def error(error: KafkaError) -> None:
        if on_fatal is not None and error.fatal():
            on_fatal(error)
        said(error)

    config = {
        "compression.type": "lz4",
        "linger.ms": 5,
        "queue.buffering.max.messages": 200_000,
        **shared,
        "partitioner": _PARTITIONER,
        "error_cb": error,
        "enable.idempotence": True,
        **_statistics(on_stats),
    }
    if transactional_id is not None:
        config |= {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
        }
    return Producer(config)


def consumer(
    settings: Kafka,
    group: str,
    *,
    instance: str | None = None,
    on_stats: Callable[[str], None] | None = None,
) -> Consumer:
    """A consumer of committed records, from the earliest where its group has no offset yet.

    `range` gives the same partition numbers of every subscribed topic to one consumer, which the
    join needs. Offsets are committed by the worker alone. The user's options win where they tune,
    not where correctness hangs on them.

    Args:
        instance: name of the worker slot, for static membership (KIP-345) where that is set.
        on_stats: as of `producer`.
    """
    config = {
        **_membership(settings),
        # The worker pauses and polls on while it works, so a longer silence is a stuck loop.
        "max.poll.interval.ms": max(60_000, settings.session_timeout_ms),
        "fetch.wait.max.ms": 200,
        "queued.max.messages.kbytes": 16 << 10,
        # Small pieces of many partitions, so that a join gets them side by side; and a full queue
        # is filled again at once, not after the default second.
        "fetch.message.max.bytes": 128 << 10,
        "fetch.queue.backoff.ms": 20,
        **common(settings),
        "group.id": settings.prefix + group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        **_assignor(settings),
        **_statistics(on_stats),
    }
    if instance is not None and settings.static_membership:
        config["group.instance.id"] = instance
    return Consumer(config)


def _statistics(on_stats: Callable[[str], None] | None) -> dict[str, Any]:
    if on_stats is None:
        return {}
    return {"stats_cb": on_stats, "statistics.interval.ms": _STATISTICS_MS}


def _membership(settings: Kafka) -> dict[str, Any]:
    # In KIP-848's protocol the brokers set both times (group.consumer.session.timeout.ms).
    if settings.group_protocol == "consumer":
        return {}
    return {
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.session_timeout_ms // 4,
    }


def _assignor(settings: Kafka) -> dict[str, Any]:
    if settings.group_protocol == "consumer":
        return {"group.protocol": "consumer", "group.remote.assignor": "range"}
    return {"partition.assignment.strategy": "range"}
