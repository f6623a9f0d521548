"""Putting back: read, select, and publish again what is selected, each once.

Each transaction publishes some records and their marks. Whatever ends it, Ctrl-C or a broker, what
was committed is marked, and the rest is as it was: the same command again goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum

from confluent_kafka import Message

from densefusion.replay.claims import Claims
from densefusion.replay.marks import Marks
from densefusion.replay.origin import Found, Origin, of_dead_letter, of_reject
from densefusion.replay.putting import Putting
from densefusion.replay.reading import Progress, messages
from densefusion.replay.report import Outcome, Report
from densefusion.replay.selection import Selection, no_way_back, short
from densefusion.settings import Kafka
from densefusion.topics import DEAD_LETTERS, REJECTS, Topic
from schemas import Codec

_RECORDS = 500
_BYTES = 4 << 20


class Kind(StrEnum):
    """The two topics that have a way back."""

    REJECTS = REJECTS
    DEAD_LETTERS = DEAD_LETTERS


class Replay:
    """One replay.

    Args:
        kind: which topic.
        found: the stream's topics, by name without prefix.
        claims: takes back what curate's dead letters have claimed.
        stopped: asked between two batches; nothing is open then.
    """

    def __init__(
        self,
        kind: Kind,
        selection: Selection,
        settings: Kafka,
        found: dict[str, Topic],
        codec: Codec,
        claims: Claims,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._kind = kind
        self._selection = selection
        self._settings = settings
        self._topic = found[kind]
        self._known: Collection[str] = {topic.name for topic in found.values()}
        self._codec = codec
        self._claims = claims
        self._stopped = stopped
        self._marks = Marks(settings)
        self._waiting: list[tuple[tuple[str, str], Found, Origin]] = []
        self._picked: set[bytes] = set()  # in hand, not yet marked
        self._bytes = 0
        self.report = Report()

    def look(self, progress: Progress | None = None) -> Report:
        """What `run` would do; nothing is written."""
        self._marks.read()
        self._read(progress, None)
        return self.report

    def run(self, progress: Progress | None = None) -> Report:
        """Put back what is selected.

        Raises:
            BrokerError: the brokers do not answer, or another replay has begun.
            Refused: this user lacks a right.
            StoreError: the object store does not answer.
            TopicError: the topic of marks cannot be made.
        """
        self._marks.create()
        putting = Putting(self._settings, self._marks.topic)
        putting.open()
        try:
            # After every other replay is fenced, so that no mark can be added behind our back.
            self._marks.read()
            self._read(progress, putting)
        finally:
            putting.close()
        return self.report

    def _read(self, progress: Progress | None, putting: Putting | None) -> None:
        for batch in messages(self._settings, self._topic, progress):
            self.report.read += len(batch)
            for message in batch:
                self._consider(message)
                if len(self._waiting) >= _RECORDS or self._bytes >= _BYTES:
                    self._put(putting)
                if self._stopped():
                    self.report.complete = False
                    return
        self._put(putting)

    def _consider(self, message: Message) -> None:
        found = self._found(message)
        if not self._selection.means(found, self._settings.prefix):
            return
        group = (found.stage, self._group(found))
        origin = found.origin
        why = no_way_back(found, self._settings.prefix, self._known)
        if why is not None or origin is None:
            self.report.add(group, Outcome.NO_WAY, found, why or "")
            return
        if origin in self._marks or origin.identity in self._picked:
            self.report.add(group, Outcome.ALREADY, found)
            return
        if origin.attempt >= self._selection.max_attempts:
            why = f"this was attempt {origin.attempt} of {self._selection.max_attempts}"
            self.report.add(group, Outcome.AT_CAP, found, why)
            return
        taken = self.report.total(Outcome.PUT_BACK) + len(self._waiting)
        if self._selection.limit is not None and taken >= self._selection.limit:
            self.report.add(group, Outcome.OVER_LIMIT, found)
            return
        self._waiting.append((group, found, origin))
        self._picked.add(origin.identity)
        self._bytes += len(origin.value or b"")

    def _put(self, putting: Putting | None) -> None:
        """Put back what waits; without `putting`, only count it."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        refused: list[Origin] = []
        if putting is not None and waiting:
            origins = [origin for _, _, origin in waiting]
            for origin in origins:
                self._claims.take_back(origin)
            moved, refused = putting.put(origins)
            self.report.moved += moved
        for group, found, origin in waiting:
            if origin in refused:
                self.report.add(group, Outcome.NO_WAY, found, "it is too large to be published")
                continue
            self.report.add(group, Outcome.PUT_BACK, found)
            self._marks.add(origin)
        self._picked.clear()

    def _found(self, message: Message) -> Found:
        if self._kind is Kind.REJECTS:
            return of_reject(message, self._codec)
        return of_dead_letter(message)

    def _group(self, found: Found) -> str:
        if self._kind is Kind.REJECTS:
            return found.reason
        return short(found.origin.topic, self._settings.prefix) if found.origin else "?"
