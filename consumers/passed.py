"""What nobody waits for any more: the images that fusion has captioned already.

An expert that comes back after a long silence, or joins a stream that has run for a year, would
answer for images that left the join without it. It starts where fusion stands instead, and is of
use at once.
"""

from __future__ import annotations

import logging

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

    def assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """To be called when `partitions` have been assigned, in the consumer's thread."""
        try:
            own = consumer.committed(partitions, timeout=_SECONDS)
            theirs = self._committed(partitions)
        except KafkaException as error:
            # Only work that nobody waits for is at stake.
            log.warning("starting where we stopped", extra={"error": error.args[0].str()})
            return
        skipped = 0
        for place, stood, passed in zip(partitions, own, theirs, strict=True):
            if passed.offset > max(stood.offset, 0):
                place.offset = passed.offset
                skipped += passed.offset - max(stood.offset, 0)
        if not skipped:
            return
        log.warning("images skipped that were captioned without us", extra={"count": skipped})
        metrics.SKIPPED.labels(self._stage).inc(skipped)
        if self._kafka.group_protocol == "consumer":
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        config = {
            **clients.common(self._kafka),
            "group.id": self._kafka.prefix + self._waiting,
            "enable.auto.commit": False,
        }
        reader = Consumer(config)
        try:
            places = [TopicPartition(each.topic, each.partition) for each in partitions]
            return reader.committed(places, timeout=_SECONDS)
        finally:
            reader.close()
