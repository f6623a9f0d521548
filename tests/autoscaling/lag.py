"""The metric that KEDA's Kafka scaler reads, from the same brokers in the same way: committed
offsets of a group (OffsetFetch), and end offsets as a reader of uncommitted records sees them
(ListOffsets).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from densefusion.plan.autoscaler import NO_OFFSET, Offsets
from tests.autoscaling.targets import Trigger

_SECONDS = 10.0


class BrokerLag:
    """Reads the offsets of triggers.

    Args:
        client: librdkafka's settings.
        partitions: of each topic.
    """

    def __init__(self, client: dict[str, Any], partitions: int) -> None:
        self._admin = AdminClient(client)
        self._partitions = range(partitions)

    def read(self, triggers: Iterable[Trigger]) -> dict[Trigger, Offsets]:
        """(committed, end) of each partition of each trigger's topic.

        Raises:
            KafkaException, TimeoutError: the brokers do not answer.
        """
        wanted = list(triggers)
        places = {each: self._places(each.topic) for each in wanted}
        groups: dict[str, list[TopicPartition]] = {}
        for each in wanted:
            groups.setdefault(each.group, []).extend(places[each])
        asked = {
            name: next(
                iter(
                    self._admin.list_consumer_group_offsets(
                        [ConsumerGroupTopicPartitions(name, found)], request_timeout=_SECONDS
                    ).values()
                )
            )
            for name, found in groups.items()
        }
        all_places = {(p.topic, p.partition): p for found in places.values() for p in found}
        latest = self._admin.list_offsets(
            {place: OffsetSpec.latest() for place in all_places.values()},
            isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_SECONDS,
        )  # fmt: skip
        ends = {
            (place.topic, place.partition): done.result(_SECONDS).offset
            for place, done in latest.items()
        }
        committed = {
            (name, place.topic, place.partition): place.offset
            for name, done in asked.items()
            for place in done.result(_SECONDS).topic_partitions
        }
        return {
            each: {
                number: (
                    max(NO_OFFSET, committed[each.group, each.topic, number]),
                    ends[each.topic, number],
                )
                for number in self._partitions
            }
            for each in wanted
        }

    def members(self, group: str) -> int:
        """Members of a group that hold partitions."""
        done = self._admin.describe_consumer_groups([group], request_timeout=_SECONDS)[group]
        return sum(bool(each.assignment.topic_partitions) for each in done.result(_SECONDS).members)

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in self._partitions]
