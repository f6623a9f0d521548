"""Passes records through with nothing but the client: one transaction for each consume(500)."""

from __future__ import annotations

import json
import sys
from typing import Any

from confluent_kafka import TopicPartition

from densefusion import clients
from densefusion.settings import Kafka


def main(arguments: dict[str, Any]) -> None:
    kafka = Kafka.model_validate(arguments["kafka"])
    consumer = clients.consumer(kafka, "pass")
    producer = clients.producer(kafka, kafka.prefix + "pass-0")
    producer.init_transactions(30)
    consumer.subscribe([kafka.prefix + "in"])
    out = kafka.prefix + "out"
    while True:
        messages = consumer.consume(500, 0.5)
        if not messages:
            continue
        producer.begin_transaction()
        offsets = {}
        for message in messages:
            if message.error() is not None:
                raise SystemExit(message.error().str())
            producer.produce(out, message.value(), message.key())
            offsets[message.partition()] = message.offset() + 1
        places = [TopicPartition(kafka.prefix + "in", *each) for each in offsets.items()]
        producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
