"""What nobody waits for any more: the images that fusion has captioned already.

An expert that comes back after a long silence, or joins a stream that has run for a year, would
answer for images that left the join without it. It starts where fusion stands instead, and is of
use at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from densefusion import clients, metrics
from densefusion.settings import Kafka

log = logging.getLogger("densefusion.passed")
_SECONDS = 10.0


class Passed:
    """Starts a stage's partitions at what `waiting` has committed of them, where that is further.

    Args:
        stage: the stage that starts.
        waiting: group name, without the prefix, of whoever waits for its answers.
    """

    def __init__(self, kafka: Kafka, stage: str, waiting: str) -> None:
        self._kafka = kafka
        self._stage = stage
        self._waiting = waiting
        metrics.SKIPPED.labels(stage)  # there from the start, so that the first is an increase

    def further(self, stands: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Where partitions start that stand, for us, at `stands`: those that others have passed."""
        try:
            theirs = self._committed(stands)
        except KafkaException as error:
            # Only work that nobody waits for is at stake.
            log.warning("starting where we stopped", extra={"error": error.args[0].str()})
            return {}
        passed = {place: at for place, at in theirs.items() if at > max(stands[place], 0)}
        if passed:
            skipped = sum(at - max(stands[place], 0) for place, at in passed.items())
            log.warning("images skipped that were captioned without us", extra={"count": skipped})
            metrics.SKIPPED.labels(self._stage).inc(skipped)
        return passed

    def _committed(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        config = {
            **clients.common(self._kafka),
            "group.id": self._kafka.prefix + self._waiting,
            "enable.auto.commit": False,
        }
        reader = Consumer(config)
        try:
            found = reader.committed([TopicPartition(*each) for each in places], timeout=_SECONDS)
        finally:
            reader.close()
        return {(each.topic, each.partition): each.offset for each in found}
