"""Fusion's source under rebalances: whole, in pieces, in the middle of a poll, after a crash.

The consumer here does what a worker does (`consumers.worker`), on logs in memory. Every image has
to leave once, in order, with all its priors: no expert is silent for long enough to be given up, so
one that is missing was lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from consumers.join_source import JoinSource
from consumers.source import Arrival, TopicPartition, drain
from tests.consumers.messages import message
from tests.consumers.records import CODEC, image, prior

IMAGES = "images"
EXPERTS = {"ocr": "priors.ocr", "tagging": "priors.tagging"}
NUMBERS = (0, 1)
PLACES = [(topic, number) for topic in [IMAGES, *EXPERTS.values()] for number in NUMBERS]
few = st.integers(1, 5)
some_places = st.lists(st.sampled_from(PLACES), unique=True, max_size=len(PLACES))


class Consumer:
    """A group's only member. Offsets are those of the logs: every message is one further."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.now = 0.0
        self.logs: dict[TopicPartition, list[Message]] = {place: [] for place in PLACES}
        self.committed = dict.fromkeys(PLACES, 0)
        self.done: dict[int, list[Arrival]] = {number: [] for number in NUMBERS}
        self.start()

    def start(self) -> None:
        """Anew, with nothing in memory and nothing assigned."""
        self.source = JoinSource(IMAGES, EXPERTS, CODEC, window=self.window, deadline=1e6)
        self.assigned: set[TopicPartition] = set()
        self.paused: set[TopicPartition] = set()
        self.position: dict[TopicPartition, int] = {}
        self.out: dict[TopicPartition, list[Arrival]] = {}

    # -- the group -------------------------------------------------------------------------------

    def assign(self, places: Iterable[TopicPartition]) -> None:
        new = set(places) - self.assigned
        self.assigned |= new
        self.paused -= new
        for place in new:
            self.position[place] = self.committed[place]
        self.source.assigned(sorted(new))

    def revoke(self, places: Iterable[TopicPartition], finished: int) -> None:
        """`finished`: records of each lane that are done, and committed before it goes."""
        gone = set(places) & self.assigned
        for lane in self.source.lanes(gone):
            self.commit(lane, finished)
            self.out.pop(lane, None)
        self.assigned -= gone
        self.source.revoked(gone)

    def commit(self, lane: TopicPartition, count: int) -> None:
        for arrival in self.out.get(lane, [])[:count]:
            for place, offset in arrival.commits.items():
                assert place in self.assigned, "an offset of somebody else's was committed"
                assert offset >= self.committed[place], "a committed offset went back"
                self.committed[place] = offset
            self.done[lane[1]].append(arrival)
        self.out[lane] = self.out.get(lane, [])[count:]

    # -- polling ---------------------------------------------------------------------------------

    def fetch(self, order: list[TopicPartition], most: int) -> list[Message]:
        for place in self.source.rewinds() & self.assigned:
            self.position[place] = self.committed[place]
        found = []
        for place in order:
            if place in self.assigned and place not in self.paused:
                at = self.position[place]
                found += self.logs[place][at : at + most]
                self.position[place] = min(len(self.logs[place]), at + most)
        return found

    def offer(self, messages: list[Message]) -> None:
        self.now += 0.1
        for each in messages:
            self.source.offer([each], self.now)
        for arrival in drain(self.source, self.now):
            self.check(arrival)
            self.out.setdefault(arrival.lane, []).append(arrival)
        self.paused = self.source.pauses(set())
        assert self.paused <= self.assigned
        for number in NUMBERS:
            ours = {place for place in self.assigned if place[1] == number}
            assert len(ours) == 1 + len(EXPERTS) or ours <= self.paused, "it is not complete"

    def check(self, arrival: Arrival) -> None:
        record = arrival.record
        assert record is not None
        number = record.partition
        assert record.offset == len(self.done[number]) + len(self.out.get(arrival.lane, []))
        assert {(topic, number) for topic in [IMAGES, *EXPERTS.values()]} <= self.assigned
        assert record.missing == {}, "a prior was lost"
        for expert, topic in EXPERTS.items():
            assert record.joined[expert].value["offset"] == record.offset
            assert arrival.commits[topic, number] == record.joined[expert].offset + 1


class JoinSourceMachine(RuleBasedStateMachine):
    @initialize(window=st.integers(1, 4), images=st.integers(0, 9), answers=st.integers(0, 9))
    def begin(self, window: int, images: int, answers: int) -> None:
        self.consumer = Consumer(window)
        self.said: dict[TopicPartition, int] = {}
        for number in NUMBERS:
            self.images_are_published(number, images)
        for place in PLACES[len(NUMBERS) :]:
            self.expert_answers(place, answers, 0)

    @rule(number=st.sampled_from(NUMBERS), count=few)
    def images_are_published(self, number: int, count: int) -> None:
        log = self.consumer.logs[IMAGES, number]
        for _ in range(count):
            name = f"i{number}-{len(log)}"
            raw = CODEC.encode("Image", image(name), IMAGES)
            log.append(message(IMAGES, number, len(log), raw, key=name.encode()))

    @rule(place=st.sampled_from(PLACES[len(NUMBERS) :]), count=few, again=st.integers(0, 3))
    def expert_answers(self, place: TopicPartition, count: int, again: int) -> None:
        """`again`: it says so much a second time."""
        topic, number = place
        log = self.consumer.logs[place]
        expert = topic.removeprefix("priors.")
        next_one = self.said.get(place, 0)
        images = len(self.consumer.logs[IMAGES, number])
        upto = min(images, next_one + count)
        for of in range(max(0, next_one - again), upto):
            value = prior(expert, f"i{number}-{of}", of, partition=number)
            raw = CODEC.encode(f"Prior:{expert}", value, topic)
            log.append(message(topic, number, len(log), raw))
        self.said[place] = upto

    @rule(places=some_places)
    def partitions_come(self, places: list[TopicPartition]) -> None:
        self.consumer.assign(places)

    @rule()
    def all_partitions_come(self) -> None:
        self.consumer.assign(PLACES)

    @rule(places=some_places, finished=st.integers(0, 5))
    def partitions_go(self, places: list[TopicPartition], finished: int) -> None:
        self.consumer.revoke(places, finished)

    @rule(order=st.permutations(PLACES), most=few)
    def consumer_polls(self, order: list[TopicPartition], most: int) -> None:
        self.consumer.offer(self.consumer.fetch(order, most))

    @rule(most=few, places=some_places, come=st.booleans(), finished=st.integers(0, 5))
    def rebalance_in_the_middle_of_a_poll(
        self, most: int, places: list[TopicPartition], come: bool, finished: int
    ) -> None:
        messages = self.consumer.fetch(PLACES, most)
        if come:
            self.consumer.assign(places)
        else:
            self.consumer.revoke(places, finished)
        self.consumer.offer(messages)

    @rule(number=st.sampled_from(NUMBERS), count=few)
    def prefix_is_committed(self, number: int, count: int) -> None:
        self.consumer.commit((IMAGES, number), count)

    @rule(come=some_places, go=some_places, order=st.permutations(PLACES), most=few)
    def numbers_come_in_pieces(
        self,
        come: list[TopicPartition],
        go: list[TopicPartition],
        order: list[TopicPartition],
        most: int,
    ) -> None:
        """Some, of which some go again; then all, with polls between."""
        consumer = self.consumer
        consumer.assign(come)
        consumer.offer(consumer.fetch(order, most))
        consumer.revoke(go, 0)
        consumer.assign(PLACES)
        consumer.offer(consumer.fetch(order, most))

    @rule(chance=st.integers(0, 3))
    def consumer_crashes(self, chance: int) -> None:
        if chance == 0:
            self.consumer.start()

    def teardown(self) -> None:
        """Once every partition is here and every expert has answered, all leaves."""
        if not hasattr(self, "consumer"):
            return
        consumer = self.consumer
        for place in PLACES[len(NUMBERS) :]:
            self.expert_answers(place, 10_000, 0)
        consumer.assign(PLACES)
        for _ in range(2 * sum(map(len, consumer.logs.values())) + 2):
            consumer.offer(consumer.fetch(PLACES, 2))
        for number in NUMBERS:
            consumer.commit((IMAGES, number), 10_000)
            offsets = [each.record.offset for each in consumer.done[number] if each.record]
            assert offsets == list(range(len(consumer.logs[IMAGES, number])))


TestJoinSource = JoinSourceMachine.TestCase
TestJoinSource.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
