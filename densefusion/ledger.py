"""The ledger of a run: which of its records have come by on each topic, and whether all is stored.

Every message of a run carries its id in the header ``run``, from URL to caption. The ledger reads
the topics beside the workers, and commits nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from densefusion import clients, topics
from densefusion.attempts import ATTEMPT
from densefusion.errors import BrokerError
from densefusion.settings import Kafka
from densefusion.topics import Topic
from schemas import Codec, SchemaError

# A dead letter of one of these ends its URL; an expert's costs a prior, the dataset's a row.
_ENDING = {"fetch", "curate", "fusion"}
_TIMEOUT = 15.0
_PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,
    KafkaError._TRANSPORT,
}


@dataclass(slots=True)
class Counts:
    """What has come by so far. `seen` counts by topic, without the prefix."""

    seen: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    dead_letters: int = 0
    ended_by_dead_letter: int = 0

    @property
    def captions(self) -> int:
        return self.seen[topics.CAPTIONS]

    @property
    def rejects(self) -> int:
        return self.seen[topics.REJECTS]

    @property
    def ended(self) -> int:
        """URLs that have come to their end, good or bad."""
        return self.captions + self.rejects + self.ended_by_dead_letter


class Ledger:
    """Counts the records of one run.

    Opened before the first URL is published. The end offsets that the embedded broker gives may be
    too low, which costs a few records read in vain.

    Args:
        found: the topics, as `Topics.verify` gives them.
    """

    def __init__(self, settings: Kafka, run: str, found: dict[str, Topic], codec: Codec) -> None:
        self._run = run.encode()
        self._codec = codec
        self._settings = settings
        self._names = {topic.name: name for name, topic in found.items()}
        self.counts = Counts()
        self._last: dict[tuple[str, int], int] = {}  # of captions and rejects
        self._consumer = Consumer(
            {
                **clients.common(settings),
                "group.id": f"{settings.prefix}ledger-{run}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        watched = [topic for name, topic in found.items() if name != topics.URLS]
        self._consumer.assign(list(self._ends(watched)))

    def close(self) -> None:
        self._consumer.close()

    def read(self, seconds: float) -> Counts:
        """Read on for about so many seconds; the counts so far."""
        messages = self._consumer.consume(1, seconds)
        if messages:
            messages += self._consumer.consume(10_000, 0)
        for message in messages:
            if message.error() is None:
                self._count(message)
        return self.counts

    def stored(self) -> bool:
        """Whether the dataset's workers have committed every caption and reject seen here."""
        if not self._last:
            return True
        group = Consumer(
            {
                **clients.common(self._settings),
                "group.id": f"{self._settings.prefix}dataset",
                "enable.auto.commit": False,
            }
        )
        try:
            places = [TopicPartition(*place) for place in self._last]
            committed = _again(group.committed, places, _TIMEOUT)
        except KafkaException as error:
            raise BrokerError(f"committed offsets: {error.args[0].str()}") from error
        finally:
            group.close()
        return all(each.offset > self._last[each.topic, each.partition] for each in committed)

    def _ends(self, watched: Iterable[Topic]) -> Iterable[TopicPartition]:
        for topic in watched:
            for number in range(topic.partitions):
                place = TopicPartition(topic.name, number)
                try:
                    _, end = _again(self._consumer.get_watermark_offsets, place, _TIMEOUT)
                except KafkaException as error:
                    raise BrokerError(f"{topic.name}: {error.args[0].str()}") from error
                yield TopicPartition(topic.name, number, end)

    def _count(self, message: Message) -> None:
        headers = dict(message.headers() or [])
        if headers.get("run") != self._run or ATTEMPT in headers:
            return  # another run's, or put back: its first attempt is counted already
        name = self._names[message.topic() or ""]
        self.counts.seen[name] += 1
        if name in (topics.CAPTIONS, topics.REJECTS):
            self._last[message.topic() or "", message.partition() or 0] = message.offset() or 0
        if name == topics.REJECTS:
            try:
                reason = self._codec.decode("Reject", message.value())["reason"]
            except SchemaError:
                reason = "unreadable"
            self.counts.reasons[reason] += 1
        elif name == topics.DEAD_LETTERS:
            self.counts.dead_letters += 1
            stage = headers.get("dead-letter-stage") or b""
            if isinstance(stage, bytes) and stage.decode() in _ENDING:
                self.counts.ended_by_dead_letter += 1


def _passes(error: KafkaException) -> bool:
    known: KafkaError = error.args[0]
    return known.retriable() or known.code() in _PASSING


@retry(
    stop=stop_after_delay(_TIMEOUT),
    wait=wait_fixed(0.2),
    retry=retry_if_exception(lambda error: isinstance(error, KafkaException) and _passes(error)),
    reraise=True,
)
def _again(call: Callable[..., Any], *args: Any) -> Any:
    """A call to the brokers; again where that may help, as right after topics were made."""
    return call(*args)
