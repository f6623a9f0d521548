"""The run as it goes: how far it is, when something was last committed, whether all is stored."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumers.roster import make_codec
from densefusion import clients, topics
from densefusion.errors import BrokerError
from densefusion.ledger import Counts, Ledger
from densefusion.settings import Settings
from densefusion.topics import Topic

_EVERY = 1.0  # seconds between two looks at the dataset's offsets


class Watch:
    """Reads all topics in a thread, from `with` to its end.

    Attributes:
        published: URLs, told by whoever publishes them.
        longest: seconds without any commit anywhere while there was work, and `longest_at`, when
            that began, in seconds since the start.
        stored: whether the dataset's workers have committed all that has come to its end.
        error: what has ended the watching.
    """

    def __init__(self, settings: Settings, run: str, found: dict[str, Topic]) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.kafka, run, found, make_codec(settings))
        self._dataset = Consumer(
            {
                **clients.common(settings.kafka),
                "group.id": f"{settings.kafka.prefix}dataset",
                "enable.auto.commit": False,
            }
        )
        self._places = [
            TopicPartition(found[name].name, number)
            for name in (topics.CAPTIONS, topics.REJECTS)
            for number in range(found[name].partitions)
        ]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._state: tuple[object, object] = (0, 0)
        self._offsets = 0
        self.counts: Counts = self._ledger.counts
        self.published = 0
        self.started = self.moved = self._worked = time.monotonic()
        self.longest = self.longest_at = 0.0
        self.stored = False
        self.error: Exception | None = None

    def __enter__(self) -> Watch:
        self.started = self.moved = self._worked = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(60)
        self._ledger.close()
        self._dataset.close()

    @property
    def ended(self) -> int:
        return self.counts.ended

    @property
    def silent(self) -> float:
        """Seconds since anything was committed."""
        return time.monotonic() - self.moved

    def _watch(self) -> None:
        try:
            looked = 0.0
            while not self._over.is_set():
                self._ledger.read(0.2)
                if time.monotonic() - looked >= _EVERY:
                    self._look()
                    looked = time.monotonic()
                self._measure()
        except Exception as error:
            self.error = error

    def _measure(self) -> None:
        now = time.monotonic()
        state = (self.counts.seen.total(), self._offsets)
        if state != self._state:
            self._state, self.moved = state, now
        if self.counts.ended >= self.published and self.stored:
            self._worked = now  # nothing to do
        self._worked = max(self._worked, self.moved)
        if now - self._worked > self.longest:
            self.longest, self.longest_at = now - self._worked, self._worked - self.started

    def _look(self) -> None:
        # Brokers that are away are nothing to speak of here.
        with contextlib.suppress(KafkaException, BrokerError):
            committed = self._dataset.committed(self._places, timeout=5)
            self._offsets = sum(max(0, each.offset) for each in committed)
            self.stored = self._ledger.stored()
