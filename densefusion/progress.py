"""How far each consumer group is: committed offsets beside the ends of its topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from densefusion import clients, topics
from densefusion.errors import BrokerError
from densefusion.settings import Settings
from densefusion.topics import Topic

_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Lag:
    """One stage on its input: offsets committed, and offsets left, over all partitions."""

    stage: str
    topic: str
    done: int
    waiting: int


def lags(settings: Settings, stages: Iterable[str], found: Mapping[str, Topic]) -> list[Lag]:
    """The lag of each stage. Raises `BrokerError`."""
    return [_lag(settings, stage, found[_input(stage)]) for stage in stages]


def _input(stage: str) -> str:
    """The topic that a stage is measured on; fusion's experts are measured for themselves."""
    plain = {"fetch": topics.URLS, "curate": topics.FETCHED, "dataset": topics.CAPTIONS}
    return plain.get(stage, topics.IMAGES)


def _lag(settings: Settings, stage: str, topic: Topic) -> Lag:
    group = Consumer(
        {
            **clients.common(settings.kafka),
            "group.id": settings.kafka.prefix + stage,
            "enable.auto.commit": False,
        }
    )
    done = waiting = 0
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    try:
        for place in group.committed(places, timeout=_TIMEOUT):
            low, high = group.get_watermark_offsets(place, _TIMEOUT)
            at = place.offset if place.offset >= 0 else low
            done += at - low
            waiting += max(0, high - at)
    except KafkaException as error:
        raise BrokerError(f"group {stage}: {error.args[0].str()}") from error
    finally:
        group.close()
    return Lag(stage, topic.name, done, waiting)
