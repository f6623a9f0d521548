"""Joins with nothing but the client and a dict over consume(1000); no transactions.

``decode``: decodes each of the five records, and encodes the caption whole. Else it reads of each
only what it joins by, the message's key, and carries all bodies over as they came.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import wire

from densefusion import clients
from densefusion.settings import Kafka


def main(arguments: dict[str, Any]) -> None:
    kafka = Kafka.model_validate(arguments["kafka"])
    decode: bool = arguments["decode"]
    streams = {topic: stream for stream, topic in wire.topics(kafka.prefix).items()}
    codec, out = wire.codec(), kafka.prefix + wire.CAPTIONS
    consumer, producer = clients.consumer(kafka, "bare"), clients.producer(kafka)
    consumer.subscribe(list(streams))
    table: dict[bytes, dict[str, Any]] = {}
    while True:
        for message in consumer.consume(1000, 0.5):
            if message.error() is not None:
                raise SystemExit(message.error().str())
            stream, raw, key = streams[message.topic()], message.value(), message.key()
            parts = table.setdefault(key, {})
            if decode:
                parts[stream] = (message, codec.decode(wire.schema(stream), raw))
            else:
                parts[stream] = (message, _carried(raw))
            if len(parts) < 1 + len(wire.EXPERTS):
                continue
            del table[key]
            came, image = parts.pop(wire.IMAGES)
            priors = {name: prior.value() for name, (prior, _) in parts.items()}
            caption = wire.caption(key.decode(), came.partition(), came.offset(), image, priors)
            _produce(producer, out, codec.encode("Caption", caption, out), key)


def _carried(raw: bytes) -> object:
    from schemas import Framed

    return Framed(raw)


def _produce(producer: Any, topic: str, value: bytes, key: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.05)
        else:
            producer.poll(0)
            return


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
