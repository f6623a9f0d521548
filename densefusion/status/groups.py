"""How far each consumer group is: committed offsets beside the ends of its topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    OffsetSpec,
)

from densefusion import clients, topics
from densefusion.errors import BrokerError
from densefusion.settings import Kafka
from densefusion.status.ends import Tail
from densefusion.topics import Topic

T = TypeVar("T")
_TIMEOUT = 15.0
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """One stage on its input, over all partitions.

    Attributes:
        position: the sum of its committed offsets.
        done: offsets passed, of those that the topics still hold.
        waiting: offsets left. Of several transactions that wait, each counts one more.
        members: workers in its group; None where the broker does not say.
    """

    topics: tuple[str, ...]
    position: int
    done: int
    waiting: int
    members: int | None


class Groups:
    """Asks the brokers, again and again.

    Args:
        inputs: for each stage, the topics that it reads, without the prefix.
        found: the topics, as `Topics.verify` gives them.
        embedded: the broker is the embedded one, whose end offsets are too low.
    """

    def __init__(
        self,
        settings: Kafka,
        inputs: Mapping[str, Sequence[str]],
        found: Mapping[str, Topic],
        *,
        embedded: bool,
    ) -> None:
        self._prefix = settings.prefix
        self._inputs = {stage: tuple(names) for stage, names in inputs.items()}
        self._places = {
            name: [(found[name].name, number) for number in range(found[name].partitions)]
            for name in {name for names in inputs.values() for name in names}
        }
        # Written without transactions, so that the end is a record's and not a marker's.
        self._plain = found[topics.URLS].name if topics.URLS in found else ""
        self._admin = AdminClient(clients.common(settings))
        self._tail = Tail(settings) if embedded else None

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()

    def read(self) -> dict[str, Progress]:
        """Where each stage is now. Raises `BrokerError`."""
        every = [place for places in self._places.values() for place in places]
        lows = self._offsets(every, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._offsets(every, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        if self._tail is not None:
            ends = self._tail.read(ends)
        members = self._members()
        found = {}
        for stage, names in self._inputs.items():
            places = [place for name in names for place in self._places[name]]
            committed = self._committed(stage, places)
            at = {place: committed.get(place, lows[place]) for place in places}
            found[stage] = Progress(
                names,
                sum(at.values()),
                sum(at[place] - lows[place] for place in places),
                sum(self._left(place, at[place], ends[place]) for place in places),
                members.get(stage),
            )
        return found

    def _left(self, place: Place, at: int, end: int) -> int:
        # A topic ends with the marker of its last transaction, which no group ever commits.
        marker = 0 if self._tail is not None or place[0] == self._plain else 1
        return max(0, end - at - marker)

    def _offsets(self, places: Sequence[Place], spec: Any) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT
        )
        return {
            (each.topic, each.partition): max(0, _got("offsets", answer).offset)
            for each, answer in answers.items()
        }

    def _committed(self, stage: str, places: Sequence[Place]) -> dict[Place, int]:
        group = self._prefix + stage
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(*each) for each in places])
        answers = self._admin.list_consumer_group_offsets([wanted], request_timeout=_TIMEOUT)
        found = _got(f"group {group}", answers[group]).topic_partitions
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def _members(self) -> dict[str, int]:
        """Workers by stage, as far as the broker says it: the embedded one has no list of them."""
        groups = {self._prefix + stage: stage for stage in self._inputs}
        answers = self._admin.describe_consumer_groups(list(groups), request_timeout=_TIMEOUT)
        found = {}
        for group, answer in answers.items():
            try:
                described = _got(f"group {group}", answer)
            except BrokerError:
                continue  # it does not know the group yet, or not the request
            if self._tail is None or described.members:
                found[groups[group]] = len(described.members)
        return found


def _got(what: str, answer: Future[T]) -> T:
    try:
        return answer.result(_TIMEOUT)
    except KafkaException as error:
        raise BrokerError(f"{what}: {error.args[0].str()}") from error
    except FutureTimeout as error:
        raise BrokerError(f"no answer about {what} in {_TIMEOUT:.0f} s") from error
