"""Where a group stands, as the brokers say: asked again while they are away."""

from __future__ import annotations

import logging
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

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
