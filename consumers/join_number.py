"""One partition number of a join: which of its partitions are ours, and their join once all are."""

from __future__ import annotations

from confluent_kafka import Message

from consumers.join import PartitionJoin
from consumers.join_part import Part
from consumers.source import TopicPartition


class JoinNumber:
    """The same number of every topic.

    Attributes:
        lane: topic of images, and the number.
        ours: topics whose partition of this number is ours.
        lost: of them, those that have to be read again.
        early: what came before all was complete.
        join: while all are ours.
        ready: something may be handed out.
        since: incomplete since then; None once that has been said.
    """

    __slots__ = ("early", "join", "lane", "lost", "ours", "ready", "since")

    def __init__(self, lane: TopicPartition, now: float) -> None:
        self.lane = lane
        self.ours: set[str] = set()
        self.lost: set[str] = set()
        self.early: list[Message] = []
        self.join: PartitionJoin[Part] | None = None
        self.ready = False
        self.since: float | None = now
