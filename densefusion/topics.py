"""The topics: their names, making them, and proving that what is joined can be joined."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from densefusion.errors import BrokerError, TopicError
from densefusion.reach import Admin
from densefusion.settings import Kafka

URLS = "urls"
FETCHED = "fetched"
IMAGES = "images"
CAPTIONS = "captions"
REJECTS = "rejects"
DEAD_LETTERS = "dead-letters"
_TIMEOUT = 15.0
_MADE_SECONDS = 60.0  # the embedded broker takes its time where its topics lie on S3
_KNOWN_SECONDS = 30.0
_KNOWN_IN_A_ROW = 3  # answers, of whichever broker


def priors(expert: str) -> str:
    """Topic of one expert's answers."""
    return f"priors.{expert}"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as the brokers have it. `log` is the topic's id (KIP-516): an offset means
    something only together with it, since a topic made anew starts at zero again."""

    name: str
    partitions: int
    log: str


def all_topics(roster: Iterable[str]) -> list[str]:
    """Every topic that a roster of experts needs, without the prefix."""
    return [
        URLS, FETCHED, IMAGES, *(priors(e) for e in roster), CAPTIONS, REJECTS, DEAD_LETTERS,
    ]  # fmt: skip


class Topics:
    """Makes, describes and verifies topics on the brokers of `settings`.

    Everything here raises `Refused` where they do not let us.
    """

    def __init__(self, settings: Kafka, client_config: dict[str, Any]) -> None:
        self._settings = settings
        self._admin = Admin(settings, client_config)

    def create(self, names: Iterable[str]) -> list[str]:
        """Make those of `names` that are not there yet; names of the ones made.

        Returns when they can be described, which a moment later than made they may not be: any
        broker is asked, and hears of them in its own time.

        Raises:
            TopicError: the brokers refuse to make one.
            BrokerError: they do not answer, or do not come to know what was made.
        """
        names = list(names)
        there = self.describe(names)
        fresh = [
            NewTopic(
                self._settings.prefix + name,
                num_partitions=self._settings.partitions,
                replication_factor=self._settings.replication,
            )
            for name in names
            if name not in there
        ]
        if not fresh:
            return []
        made = []
        answers = self._admin.client.create_topics(fresh, request_timeout=_MADE_SECONDS)
        for name, done in answers.items():
            try:
                self._admin.result(done, _MADE_SECONDS, f"topic {name}")
                made.append(name)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue
                raise TopicError(f"topic {name} cannot be made: {error.args[0].str()}") from error
        if made:
            self._wait_until_known(names)
        return made

    def _wait_until_known(self, names: list[str]) -> None:
        until = time.monotonic() + _KNOWN_SECONDS
        quiet = 0
        while quiet < _KNOWN_IN_A_ROW:
            quiet = quiet + 1 if len(self.describe(names)) == len(set(names)) else 0
            if time.monotonic() > until:
                raise BrokerError(f"topics made {_KNOWN_SECONDS:.0f} s ago are not known to all")
            time.sleep(0.1)

    def describe(self, names: Iterable[str]) -> dict[str, Topic]:
        """What the brokers say of `names` (without the prefix); the missing ones are left out."""
        full = {self._settings.prefix + name: name for name in names}
        found: dict[str, Topic] = {}
        answers = self._admin.client.describe_topics(
            TopicCollection(list(full)), request_timeout=_TIMEOUT
        )
        for topic, answer in answers.items():
            try:
                got = self._admin.result(answer, _TIMEOUT, f"topic {topic}")
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise BrokerError(f"topic {topic}: {error.args[0].str()}") from error
            found[full[topic]] = Topic(topic, len(got.partitions), str(got.topic_id))
        return found

    def verify(self, names: Iterable[str]) -> dict[str, Topic]:
        """The topics, once it is certain that all are there and have equal partition counts.

        A key has to have the same partition number on every topic: the join depends on it.

        Raises:
            TopicError: one is missing, or counts differ; the message says which, and what to do.
        """
        names = list(names)
        found = self.describe(names)
        missing = [self._settings.prefix + name for name in names if name not in found]
        if missing:
            raise TopicError(
                f"missing topics: {', '.join(missing)}; `densefusion topics create` makes them"
            )
        counts = {topic.partitions for topic in found.values()}
        if len(counts) > 1:
            listed = ", ".join(f"{topic.name} {topic.partitions}" for topic in found.values())
            raise TopicError(
                "what is joined needs equal partition counts, but there are: "
                f"{listed}; make the topics anew, or add partitions to the smaller ones"
            )
        return found
