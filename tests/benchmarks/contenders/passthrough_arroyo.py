"""Passes records through with sentry-arroyo, at least once: it has no transactions. Runs in the
peer's own environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, Produce, RunTask
from arroyo.processing.strategies.abstract import ProcessingStrategy, ProcessingStrategyFactory
from arroyo.types import Message, Partition, Topic


class Passing(ProcessingStrategyFactory[KafkaPayload]):
    """Task, produce, commit: arroyo's usual chain."""

    def __init__(self, producer: KafkaProducer, out: Topic) -> None:
        self._producer = producer
        self._out = out

    def create_with_partitions(
        self, commit: Callable[..., None], partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        return RunTask(_same, Produce(self._producer, self._out, CommitOffsets(commit)))


def _same(message: Message[KafkaPayload]) -> KafkaPayload:
    return message.payload


def main(arguments: dict[str, Any]) -> None:
    kafka = arguments["kafka"]
    produce = {"bootstrap.servers": kafka["bootstrap"], "compression.type": "lz4", "linger.ms": 5}
    override = {"session.timeout.ms": 6000, "partition.assignment.strategy": "range"}
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration(
            {},
            kafka["prefix"] + "pass",
            auto_offset_reset="earliest",
            bootstrap_servers=[kafka["bootstrap"]],
            override_params=override,
        )
    )
    factory = Passing(KafkaProducer(produce), Topic(kafka["prefix"] + "out"))
    topic = Topic(kafka["prefix"] + "in")
    StreamProcessor(consumer, topic, factory, ONCE_PER_SECOND).run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
