"""Where the embedded broker's topics end.

The end offset that it reports is the first offset of the last batch + 1: too low after a batch of
records, one too high after the marker of a transaction. So the last batches are read, and whatever
comes after them; on a broker of this machine that is little.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from densefusion import clients
from densefusion.settings import Kafka

_QUIET_SECONDS = 0.25  # without a record: the ends are reached
_MOST_SECONDS = 3.0  # of one reading; the rest is for the next


class Tail:
    """Reads topics from near their ends on, and commits nothing."""

    def __init__(self, settings: Kafka) -> None:
        self._ends: dict[tuple[str, int], int] = {}
        self._consumer = Consumer(
            {
                **clients.common(settings),
                "group.id": f"{settings.prefix}status",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def read(self, reported: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """The ends, of the partitions whose `reported` ends are given. The first call decides
        which partitions are read."""
        if not self._ends:
            # If nothing is read from there, a marker is what is there.
            self._ends = {place: max(0, end - 1) for place, end in reported.items()}
            self._consumer.assign(
                [TopicPartition(*place, end) for place, end in self._ends.items()]
            )
        until = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < until:
            messages = self._consumer.consume(10_000, _QUIET_SECONDS)
            if not messages:
                break
            for message in messages:
                if message.error() is None:
                    place = (message.topic() or "", message.partition() or 0)
                    after = (message.offset() or 0) + 1
                    self._ends[place] = max(self._ends.get(place, 0), after)
        return dict(self._ends)
