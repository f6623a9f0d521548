"""Where partitions start that the group has just given us, or that have to be read again: where the
group stands on them.

Left to itself, librdkafka asks for that in the background. While the transaction of a worker that
died keeps the answer back, it asks again; if the assignment changes meanwhile, it takes "not known
yet" for "nothing committed", and starts at the beginning (seen with 2.16 and both group protocols;
`rd_kafka_assignment_apply_offsets`). Everything would be done twice. So we ask, and name the start.
"""

from __future__ import annotations

import logging
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from consumers.passed import Passed
from consumers.source import place
from consumers.standing import Patience, committed
from densefusion.settings import Kafka

log = logging.getLogger("densefusion.membership")
# An answer takes milliseconds, or until a transaction is over; other partitions must not wait.
_ASK_SECONDS = 1.0
_AGAIN_SECONDS = 1.0


class Starting:
    """The starts of one member's partitions. All calls from the thread that polls.

    Args:
        kafka: says how the group assigns, and for how many seconds we are patient.
        passed: where partitions start, if that is further than the group stands.

    Attributes:
        stands: the offset that was committed of each partition when it was given to us; negative
            where there was none.
        waiting: partitions whose start is not known yet. They are to be kept paused.

    A partition that has to wait is assigned at offset 0, paused, and sought later. (At "the
    beginning" the client would look for that offset, and now and then forget the seek for it: seen
    with 2.16.) What comes of such a partition is looked at all the same: see `fresh`.
    """

    def __init__(self, kafka: Kafka, passed: Passed | None = None) -> None:
        self._incremental = kafka.group_protocol == "consumer"
        self._seconds = kafka.retry_for
        self._passed = passed
        self._patience = Patience(self._seconds)
        self._next = 0.0
        self.stands: dict[tuple[str, int], int] = {}
        self.waiting: set[tuple[str, int]] = set()
        self._following: dict[tuple[str, int], int] = {}  # the next offset, of what had to wait

    def assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Have `partitions` assigned: to be called in the client's callback."""
        try:
            starts = self._find(consumer, partitions)
        except KafkaException as failure:
            log.info("start not known yet", extra={"error": failure.args[0].str()})
            starts = [TopicPartition(each.topic, each.partition, 0) for each in partitions]
            self.waiting |= {(each.topic, each.partition) for each in partitions}
        (consumer.incremental_assign if self._incremental else consumer.assign)(starts)
        if self.waiting:
            consumer.pause([TopicPartition(*at) for at in self.waiting])

    def again(self, consumer: Consumer, partitions: set[tuple[str, int]]) -> None:
        """Start `partitions`, which are ours, anew. What was polled of them is forgotten: going on
        from their position would lose it.

        Raises:
            BrokerError: as of `look`.
        """
        if not partitions:
            return
        try:
            self._seek(consumer, partitions)
        except KafkaException as failure:
            self._patience.bear(failure, "where the group stands")
            self.waiting |= partitions
            consumer.pause([TopicPartition(*at) for at in partitions])

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        self.waiting -= partitions
        for at in partitions:
            self.stands.pop(at, None)
            self._following.pop(at, None)

    def fresh(self, messages: list[Message]) -> list[Message]:
        """Those that do not come from before their partition's start."""
        if not self.waiting and not self._following:
            return messages
        return [each for each in messages if each.error() is not None or self._is_fresh(each)]

    def _is_fresh(self, message: Message) -> bool:
        at = place(message)
        if at in self.waiting:
            return False
        following = self._following.get(at)
        if following is None:
            return True
        offset = message.offset() or 0
        if offset < following:
            return False
        self._following[at] = offset + 1
        return True

    def look(self, consumer: Consumer) -> None:
        """Start what waits, if by now it can be known where.

        Raises:
            BrokerError: for as long as we are patient, it could not. (`Refused`: we may not ask.)
        """
        if not self.waiting or time.monotonic() < self._next:
            return
        try:
            self._seek(consumer, self.waiting)
        except KafkaException as failure:
            self._patience.bear(failure, "where the group stands")
            self._next = time.monotonic() + _AGAIN_SECONDS
            return
        self.waiting.clear()
        self._patience = Patience(self._seconds)

    def _seek(self, consumer: Consumer, partitions: set[tuple[str, int]]) -> None:
        for start in self._find(consumer, [TopicPartition(*at) for at in partitions]):
            consumer.seek(start)
            at = (start.topic, start.partition)
            if at in self.waiting or at in self._following:
                self._following[at] = max(start.offset, 0)

    def _find(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        """Raises `KafkaException`."""
        stands = {(at.topic, at.partition): at.offset for at in committed(
            consumer, places, _ASK_SECONDS)}  # fmt: skip
        self.stands |= stands
        further = self._passed.further(stands) if self._passed is not None else {}
        return [
            TopicPartition(*at, offset if offset >= 0 else OFFSET_BEGINNING)
            for at, offset in (stands | further).items()
        ]
