"""Passes records through with quixstreams, exactly once. Runs in the peer's own environment."""

from __future__ import annotations

import json
import sys
from typing import Any

from quixstreams import Application


def main(arguments: dict[str, Any]) -> None:
    kafka = arguments["kafka"]
    app = Application(
        kafka["bootstrap"],
        consumer_group=kafka["prefix"] + "pass",
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        commit_interval=0.5,  # as the worker's; the default, 5, is no faster
        auto_create_topics=False,
        use_changelog_topics=False,
        consumer_extra_config={"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500},
        producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
        loglevel="WARNING",
    )
    plain = {"key_serializer": "bytes", "value_serializer": "bytes"}
    read = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    came = app.topic(kafka["prefix"] + "in", **read)
    out = app.topic(kafka["prefix"] + "out", **plain)
    app.dataframe(came).to_topic(out)
    app.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
