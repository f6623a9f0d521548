"""Joins with bytewax, one worker, its state in memory. Runs in the peer's own environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
import wire
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main

Part = tuple[str, KafkaSourceMessage[bytes, bytes], dict[str, Any]]


def main(arguments: dict[str, Any]) -> None:
    kafka = arguments["kafka"]
    topics = wire.topics(kafka["prefix"])
    streams = {topic: stream for stream, topic in topics.items()}
    codec, out = wire.codec(), kafka["prefix"] + wire.CAPTIONS

    def decode(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, Part]:
        stream = streams[message.topic]
        value = codec.decode(wire.schema(stream), message.value)
        return value["image_id"], (stream, message, value)

    def join(
        state: dict[str, Part] | None, part: Part
    ) -> tuple[dict[str, Part] | None, Iterable[KafkaSinkMessage[bytes, bytes]]]:
        state = state or {}
        state[part[0]] = part
        if len(state) < 1 + len(wire.EXPERTS):
            return state, ()
        _, came, image = state.pop(wire.IMAGES)
        priors = {name: prior.value for name, prior, _ in state.values()}
        caption = wire.caption(image["image_id"], came.partition, came.offset, image, priors)
        return None, (KafkaSinkMessage(came.key, codec.encode("Caption", caption, out)),)

    flow = Dataflow("join")
    source = KafkaSource([kafka["bootstrap"]], list(topics.values()), batch_size=1000)
    came = op.input("in", flow, source)
    joined = op.stateful_flat_map("join", op.map("decode", came, decode), join)
    produce = {
        "compression.type": "lz4",
        "linger.ms": "5",
        "queue.buffering.max.messages": "500000",
    }
    op.output("out", op.map("unkey", joined, lambda keyed: keyed[1]),
              KafkaSink([kafka["bootstrap"]], out, add_config=produce))  # fmt: skip
    cluster_main(flow, [], 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
