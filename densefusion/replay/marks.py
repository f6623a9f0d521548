"""What has been put back: a compacted topic with one small record for each.

Each mark is written in the transaction that puts its record back, so that the two are there
together or not at all. That is why it is no group's offset (a selection leaves others between
those that it takes, for a later command) and no list in the object store (which knows nothing of
the transaction).
"""

from __future__ import annotations

from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from densefusion import clients
from densefusion.errors import BrokerError, TopicError
from densefusion.refusals import lacks_right, right_refused
from densefusion.replay.origin import Origin
from densefusion.replay.reading import messages
from densefusion.settings import Kafka
from densefusion.topics import Topics

REPLAYED = "replayed"
_TIMEOUT = 15.0


class Marks:
    """The identities (`Origin.identity`) of what has been put back; 100 bytes of memory each."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self.topic = settings.prefix + REPLAYED
        self._held: set[bytes] = set()

    def __contains__(self, origin: Origin) -> bool:
        return origin.identity in self._held

    def add(self, origin: Origin) -> None:
        """Its transaction is committed."""
        self._held.add(origin.identity)

    def read(self) -> None:
        """Learn what there is; nothing where the topic is not there. Raises `BrokerError`."""
        found = Topics(self._settings, clients.common(self._settings)).describe([REPLAYED])
        if (topic := found.get(REPLAYED)) is None:
            return
        for batch in messages(self._settings, topic):
            self._held.update(message.key() or b"" for message in batch)

    def create(self) -> None:
        """Make the topic where it is not there.

        Raises:
            TopicError: the brokers refuse.
            BrokerError: they do not answer.
        """
        admin = AdminClient(clients.common(self._settings))
        # One partition: marks are few and small. Compaction keeps what retention would delete.
        wanted = NewTopic(
            self.topic,
            num_partitions=1,
            replication_factor=self._settings.replication,
            config={"cleanup.policy": "compact"},
        )
        done: Future[None] = admin.create_topics([wanted], request_timeout=_TIMEOUT)[self.topic]
        try:
            done.result(_TIMEOUT)
        except KafkaException as error:
            if lacks_right(error.args[0]):
                raise right_refused(error.args[0], f"topic {self.topic}") from error
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(
                    f"topic {self.topic} cannot be made: {error.args[0].str()}"
                ) from error
        except TimeoutError as error:
            raise BrokerError(f"no answer about topic {self.topic} in {_TIMEOUT:.0f} s") from error
