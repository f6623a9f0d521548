"""Joins with quixstreams, exactly once, its state in RocksDB. Runs in the peer's environment."""

from __future__ import annotations

import json
import sys
from typing import Any

import wire
from quixstreams import Application, State, message_context


def main(arguments: dict[str, Any]) -> None:
    kafka = arguments["kafka"]
    codec, out = wire.codec(), kafka["prefix"] + wire.CAPTIONS
    app = Application(
        kafka["bootstrap"],
        consumer_group=kafka["prefix"] + "quix",
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        commit_interval=0.5,
        auto_create_topics=False,
        use_changelog_topics=False,
        consumer_extra_config={"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500},
        producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
        loglevel="WARNING",
    )
    read = {"key_deserializer": "bytes", "value_deserializer": "bytes"}

    def part(stream: str) -> Any:
        def decoded(raw: bytes) -> dict[str, Any]:
            context = message_context()
            return {
                "stream": stream,
                "raw": raw,
                "value": codec.decode(wire.schema(stream), raw),
                "place": (context.partition, context.offset),
            }

        return decoded

    def join(part: dict[str, Any], state: State) -> bytes | None:
        # Its state holds bytes or JSON, and a decoded record is neither: of the image that waits it
        # keeps the bytes, and decodes them again. Which parts are there is one more entry.
        there = state.get("there") or {}
        there[part["stream"]] = part["place"]
        if len(there) < 1 + len(wire.EXPERTS):
            state.set("there", there)
            state.set_bytes(part["stream"], part["raw"])
            return None
        raws = {part["stream"]: part["raw"]}
        for name in there:
            if name not in raws:
                raws[name] = state.get_bytes(name)
                state.delete(name)
        state.delete("there")
        image = part["value"]
        raw = raws.pop(wire.IMAGES)
        if part["stream"] != wire.IMAGES:
            image = codec.decode("Image", raw)
        partition, offset = there[wire.IMAGES]
        caption = wire.caption(image["image_id"], partition, offset, image, raws)
        return codec.encode("Caption", caption, out)

    frames = []
    for stream, name in wire.topics(kafka["prefix"]).items():
        topic = app.topic(name, **read)
        # It asks for this to name a changelog, used or not; the embedded broker does not say.
        topic.broker_config.extra_config.setdefault("retention.ms", "-1")
        frames.append(app.dataframe(topic).apply(part(stream)))
    joined = frames[0]
    for frame in frames[1:]:
        joined = joined.concat(frame)
    joined = joined.apply(join, stateful=True).filter(lambda caption: caption is not None)
    joined.to_topic(app.topic(out, key_serializer="bytes", value_serializer="bytes"))
    app.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
