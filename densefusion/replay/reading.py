"""A topic read from its beginning to the end that it had when the reading began."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Place

from densefusion import clients
from densefusion.errors import BrokerError
from densefusion.refusals import lacks_right, right_refused
from densefusion.settings import Kafka
from densefusion.topics import Topic

log = logging.getLogger("densefusion.replay")

_BATCH = 500
_TIMEOUT = 15.0
_QUIET = 0.5  # behind the end
Progress = Callable[[int, int], None]


def messages(
    settings: Kafka, topic: Topic, progress: Progress | None = None
) -> Iterator[list[Message]]:
    """The committed messages of a topic, oldest first in each partition, in batches.

    It ends where the topic ended at the start. The embedded broker says that a topic ends where its
    last batch begins, so what lies behind that end is read too, if it is older than the start.

    Args:
        progress: called with the offsets passed, and how many there are.

    Raises:
        BrokerError: the brokers do not answer.
    """
    started = time.time() * 1000
    consumer = Consumer(
        {
            **clients.common(settings),
            "group.id": f"{settings.prefix}replay",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
        }
    )
    try:
        ends = _Ends(consumer, topic)
        if ends.total == 0:
            return
        consumer.assign([Place(topic.name, n, OFFSET_BEGINNING) for n in range(topic.partitions)])
        quiet = time.monotonic()
        while True:
            polled = consumer.consume(_BATCH, 0.2)
            batch = [message for message in polled if ends.take(message, started)]
            if progress is not None:
                progress(ends.passed, ends.total)
            if batch:
                quiet = time.monotonic()
                yield batch
            elif ends.reached:
                if time.monotonic() - quiet > _QUIET:
                    return
            elif time.monotonic() - quiet > settings.retry_for:
                # Never taken for the end: what is behind would be passed over without a word.
                raise BrokerError(
                    f"{topic.name} ends {ends.total - ends.passed:,} offsets further on, but the "
                    f"brokers have given nothing for {settings.retry_for:.0f} s"
                )
    finally:
        consumer.close()


class _Ends:
    """Where each partition ends, and how far it has been read."""

    def __init__(self, consumer: Consumer, topic: Topic) -> None:
        self._consumer = consumer
        self._topic = topic
        self._lows: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        for number in range(topic.partitions):
            self._lows[number], self._ends[number] = self._watermarks(number)
        self._at = dict(self._lows)
        self.total = sum(self._ends.values()) - sum(self._lows.values())

    @property
    def passed(self) -> int:
        return sum(min(at, self._ends[n]) - self._lows[n] for n, at in self._at.items())

    @property
    def reached(self) -> bool:
        return all(at >= self._ends[number] for number, at in self._at.items())

    def take(self, message: Message, started: float) -> bool:
        """Note how far a polled message goes; whether it is one of the messages to be read."""
        error = message.error()
        number, offset = message.partition() or 0, message.offset() or 0
        if error is None:
            self._at[number] = max(self._at[number], offset + 1)
            return offset < self._ends[number] or message.timestamp()[1] < started
        if error.code() == KafkaError._PARTITION_EOF:
            # What stands between the last message and here are the markers of transactions.
            self._at[number] = max(self._at[number], offset)
        elif lacks_right(error):
            raise right_refused(error, f"reading {self._topic.name}")
        elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokerError(f"reading {self._topic.name}: {error.str()}")
        else:
            log.warning("consuming failed", extra={
                "topic": self._topic.name, "error": error.str(), "code": error.name()
            })  # fmt: skip
        return False

    def _watermarks(self, number: int) -> tuple[int, int]:
        try:
            low, high = self._consumer.get_watermark_offsets(
                Place(self._topic.name, number), _TIMEOUT
            )
        except KafkaException as error:
            raise BrokerError(f"{self._topic.name}: {error.args[0].str()}") from error
        return low, high
