"""What the Kafka client tells of itself every few seconds, as metrics.

The fields are librdkafka's (its STATISTICS.md). They come from within polls, as JSON.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from densefusion import metrics
from densefusion.logs import seldom
from densefusion.metrics import Growth

log = logging.getLogger("densefusion.metrics")
_INTERNAL = "-1"  # the client's own partition, for what has none yet


@dataclass(frozen=True, slots=True)
class Fetching:
    """Where the client stands in a partition that is assigned.

    Offsets are negative where they are not known.

    Attributes:
        following: the next offset to fetch: past the markers of transactions, too.
        end: the end of what is committed (the last stable offset).
        committed: what the group had committed when the client last looked.
        queued: records fetched and not yet polled.
        state: of the client's fetcher, such as "active".
    """

    following: int
    end: int
    committed: int
    queued: int
    state: str


class ClientStats:
    """Takes the statistics of one client after another, as its `stats_cb`.

    Args:
        stage: name of the stage, for metrics.
        consumes: a consumer's, which knows brokers and partitions; a producer's tells only traffic.

    Attributes:
        at: when they came last (monotonic), 0 before.
        brokers: brokers connected then.
        connected: whether any connection was up, the coordinator's (a spare may have no other)
            included.
        joined: whether the group's assignment was in force then.
        partitions: those assigned then.
        told: called after each, from within the poll.
    """

    def __init__(self, stage: str, *, consumes: bool = True) -> None:
        self.at = 0.0
        self.brokers = 0
        self.connected = False
        self.joined = False
        self.partitions: Mapping[tuple[str, int], Fetching] = {}
        self.told: Callable[[], None] | None = None
        self._consumes = consumes
        self._seldom = seldom()
        self._received = Growth(metrics.KAFKA_RECEIVED.labels(stage))
        self._sent = Growth(metrics.KAFKA_SENT.labels(stage))
        self._timeouts = Growth(metrics.KAFKA_TIMEOUTS.labels(stage))
        self._prefetched = metrics.KAFKA_PREFETCHED.labels(stage)
        self._up = metrics.KAFKA_BROKERS.labels(stage)
        self._rtt = metrics.KAFKA_RTT.labels(stage)

    def __call__(self, text: str) -> None:
        try:
            self._take(json.loads(text))
        except Exception as error:  # the client's call would raise it, and end the worker
            if self._seldom("odd") is not None:
                log.warning("statistics not understood", extra={"error": repr(error)})

    def _take(self, told: dict[str, Any]) -> None:
        brokers = [each for each in told["brokers"].values() if each["nodeid"] >= 0]
        self._received.to(told["rx_bytes"])
        self._sent.to(told["tx_bytes"])
        self._timeouts.to(sum(each["req_timeouts"] for each in brokers))
        if not self._consumes:
            return
        self.brokers = sum(each["state"] == "UP" for each in brokers)
        self.connected = any(each["state"] == "UP" for each in told["brokers"].values())
        self._up.set(self.brokers)
        self._rtt.set(max((each["rtt"]["p99"] for each in brokers), default=0) / 1e6)
        self.joined = told.get("cgrp", {}).get("join_state") == "steady"
        self.partitions = dict(_partitions(told["topics"]))
        self._prefetched.set(sum(each.queued for each in self.partitions.values()))
        self.at = time.monotonic()
        if self.told is not None:
            self.told()


def _partitions(topics: dict[str, Any]) -> list[tuple[tuple[str, int], Fetching]]:
    return [
        (
            (topic["topic"], each["partition"]),
            Fetching(
                following=each["next_offset"],
                end=each["ls_offset"],
                committed=each["committed_offset"],
                queued=each["fetchq_cnt"],
                state=each["fetch_state"],
            ),
        )
        for topic in topics.values()
        for number, each in topic["partitions"].items()
        if number != _INTERNAL and each["desired"]
    ]
