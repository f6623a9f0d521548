"""Where a group stands, as the brokers say: asked again while they are away."""

from __future__ import annotations

import logging
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from densefusion.errors import BrokerError
from densefusion.refusals import lacks_right, right_refused

log = logging.getLogger("densefusion.membership")
_SECONDS = 10.0


def committed(
    consumer: Consumer, places: list[TopicPartition], seconds: float = _SECONDS
) -> list[TopicPartition]:
    """What the group has committed. Raises `KafkaException`, for one partition that is unknown."""
    found: list[TopicPartition] = consumer.committed(places, timeout=seconds)
    for each in found:
        if each.error is not None:
            raise KafkaException(each.error)
    return found


class Patience:
    """Bears failures for so many `seconds` from the first one on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def bear(self, failure: KafkaException, what: str) -> None:
        """Raises `BrokerError` where that has been long enough, or does not help."""
        error = failure.args[0]
        if lacks_right(error):
            raise right_refused(error, what) from failure
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        elif now > self._until:
            raise BrokerError(f"{what}: {error.str()}") from failure
        log.info("waiting for the brokers", extra={"error": error.str()})


class Rewind:
    """Has partitions read again from what is committed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._patience = Patience(seconds)
        self._due: set[tuple[str, int]] = set()

    def done(self, consumer: Consumer, partitions: set[tuple[str, int]]) -> bool:
        """Whether these, and those before them, are. Until then nothing may be polled: what was
        polled is forgotten, and going on from the position would lose it.

        Raises:
            BrokerError: the brokers are away for longer than we are patient.
        """
        self._due |= partitions
        if not self._due:
            return True
        try:
            for each in committed(consumer, [TopicPartition(*place) for place in self._due]):
                at = each.offset if each.offset >= 0 else OFFSET_BEGINNING
                consumer.seek(TopicPartition(each.topic, each.partition, at))
        except KafkaException as failure:
            self._patience.bear(failure, "rewinding")
            return False
        self._due.clear()
        self._patience = Patience(self._seconds)
        return True
