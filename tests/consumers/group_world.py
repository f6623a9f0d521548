"""A consumer group in memory, at the two seams of a worker: its consumer and its transactions.

Kafka's rules that are kept here:

- offsets are taken from a member of the current epoch (generation), whosever the partitions are;
- while a transaction is under way, nobody can read the offsets that it commits;
- an eager member gives up everything before it gets anything; an incremental one (KIP-848) gives up
  what it is to lose, and what it is to get comes when its owner has given it up;
- a member that is lost hears of it at its next poll, when others may have its partitions already.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from consumers.transaction import Aborted, Outgoing, Uncertain
from tests.consumers.messages import message

Place = tuple[str, int]
_OUTCOMES = {"well": 60, "slowly": 10, "aborted": 10, "uncertain, well": 10, "uncertain": 10}


class Group:
    """The group, its topics, and what its transactions have published.

    Args:
        logs: the values on each partition.
        scattered: partitions of one number may be assigned to several members.

    Attributes:
        calm: from now on, every transaction goes well.
        committed: the offset of each partition.
        published: in order.
    """

    def __init__(
        self,
        logs: Mapping[Place, Sequence[bytes]],
        chance: random.Random,
        *,
        incremental: bool,
        scattered: bool = False,
    ) -> None:
        self.logs = logs
        self.chance = chance
        self.incremental = incremental
        self.calm = False
        self.committed = dict.fromkeys(logs, 0)
        self.published: list[Outgoing] = []
        self.under_way: Counter[Place] = Counter()
        self.lock = threading.RLock()
        self.members: list[GroupConsumer] = []
        self.epoch = 0
        self._scattered = scattered
        self._owners: dict[Place, GroupConsumer | None] = dict.fromkeys(logs)
        self._targets: dict[GroupConsumer, set[Place]] = {}

    def rebalance(self) -> None:
        """Share the partitions out anew."""
        with self.lock:
            self.epoch += 1
            members = self.chance.sample(self.members, len(self.members))
            self._targets = {member: set() for member in members}
            scatter = self._scattered and not self.calm and self.chance.random() < 0.5
            for place in self.logs if members else ():
                member = members[place[1] % len(members)]
                if scatter and self.chance.random() < 0.3:
                    member = self.chance.choice(members)
                self._targets[member].add(place)

    def lose(self) -> None:
        """One member's session is over."""
        with self.lock:
            if len(self.members) > 1:
                self.remove(self.chance.choice(self.members))

    def add(self, member: GroupConsumer) -> None:
        with self.lock:
            self.members.append(member)
            self.rebalance()

    def remove(self, member: GroupConsumer) -> None:
        with self.lock:
            if member in self.members:
                self.members.remove(member)
                self.release(member, self.logs)
                self.rebalance()

    def release(self, member: GroupConsumer, places: Iterable[Place]) -> None:
        with self.lock:
            for place in places:
                if self._owners[place] is member:
                    self._owners[place] = None

    def to_lose(self, member: GroupConsumer) -> set[Place]:
        """What a member has to give up before it is of this epoch."""
        with self.lock:
            wanted = self._targets.get(member, set()) if self.incremental else set()
            return member.held - wanted

    def given_up(self, member: GroupConsumer, epoch: int, places: set[Place]) -> None:
        """It has: no offsets are taken from it any more as of an earlier epoch."""
        with self.lock:
            self.release(member, places)
            member.given_up = epoch
            member.epoch = epoch if self.incremental else -1

    def to_get(self, member: GroupConsumer) -> set[Place]:
        """What a member gets now, and owns from here on."""
        with self.lock:
            epoch = self.epoch
            if member.given_up != epoch or member not in self.members:
                return set()
            if not self.incremental and any(each.given_up != epoch for each in self.members):
                return set()
            member.epoch = epoch
            wanted = self._targets[member] - member.held
            free = {place for place in wanted if self._owners[place] is None}
            self._owners.update(dict.fromkeys(free, member))
            return free


class GroupConsumer:
    """A member's consumer."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._positions: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self.held: set[Place] = set()
        self.epoch = self.given_up = -1

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks
        self._group.add(self)

    def consumer_group_metadata(self) -> tuple[GroupConsumer, int]:
        return self, self.epoch

    def consume(self, most: int, seconds: float) -> list[Message]:
        self._rebalance()
        found: list[Message] = []
        chance = self._group.chance
        for place in chance.sample(sorted(self.held - self._paused), len(self.held - self._paused)):
            log, at = self._group.logs[place], self._positions[place]
            until = min(at + chance.randint(0, 6), at + most - len(found), len(log))
            found += [_message(place, offset, log[offset]) for offset in range(at, until)]
            self._positions[place] = max(at, until)
        if not found:
            time.sleep(min(seconds, 0.002))
        return found

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        group = self._group
        until = time.monotonic() + min(timeout, group.chance.choice([0.02, 0.5]))
        while time.monotonic() < until:
            with group.lock:
                if not any(group.under_way[each.topic, each.partition] for each in places):
                    return [
                        TopicPartition(
                            each.topic, each.partition, group.committed[each.topic, each.partition]
                        )
                        for each in places
                    ]
            time.sleep(0.002)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out"))

    def assign(self, starts: list[TopicPartition]) -> None:
        for start in starts:
            self.seek(start)

    incremental_assign = assign

    def seek(self, start: TopicPartition) -> None:
        self._positions[start.topic, start.partition] = max(0, start.offset)

    def pause(self, places: list[TopicPartition]) -> None:
        self._paused |= {(each.topic, each.partition) for each in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self._paused -= {(each.topic, each.partition) for each in places}

    def close(self) -> None:
        how = "on_revoke" if self in self._group.members else "on_lost"
        if self.held:
            self._callbacks[how](self, [TopicPartition(*each) for each in self.held])
        self._group.remove(self)

    def _rebalance(self) -> None:
        group = self._group
        if self not in group.members:
            self._callbacks["on_lost"](self, [TopicPartition(*each) for each in self.held])
            self.held, self.epoch, self.given_up = set(), -1, -1
            group.add(self)
            return
        if self.given_up != (epoch := group.epoch):
            if lost := group.to_lose(self):
                self._callbacks["on_revoke"](self, [TopicPartition(*each) for each in lost])
                self.held -= lost
            group.given_up(self, epoch, lost)
        if gets := group.to_get(self):
            self.held |= gets
            self._paused -= gets
            self._callbacks["on_assign"](self, [TopicPartition(*each) for each in gets])


class GroupTransactions:
    """Transactions of one member, that end as chance has it."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def open(self) -> None: ...

    def close(self) -> None: ...

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        offsets: Mapping[Place, int],
        metadata: tuple[GroupConsumer, int],
    ) -> float:
        group = self._group
        chance = group.chance
        member, epoch = metadata
        how = "well" if group.calm else chance.choices([*_OUTCOMES], [*_OUTCOMES.values()])[0]
        time.sleep(chance.random() * 0.01)  # publishing
        with group.lock:
            if member not in group.members or member.epoch != epoch:
                raise Aborted("of another epoch")
            group.under_way.update(offsets.keys())
        time.sleep(chance.random() * (0.01 if how == "well" else 0.4))
        with group.lock:
            group.under_way.subtract(offsets.keys())
            if how in ("well", "slowly", "uncertain, well"):
                group.published += outgoing
                group.committed.update(offsets)
        if how == "aborted":
            raise Aborted(how)
        if how.startswith("uncertain"):
            raise Uncertain(how)
        return 0.0


def _message(place: Place, offset: int, value: bytes) -> Message:
    return message(*place, offset, value, f"{place[1]}-{offset}".encode())
