"""The join under every interleaving of images, priors, silence, and crashes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from consumers.join import IMAGES
from tests.consumers.join_world import JoinWorld

EXPERTS = ["detection", "ocr", "tagging"]
DEADLINE = 10.0
few = st.integers(0, 5)


class JoinMachine(RuleBasedStateMachine):
    """Experts answer in order, skip, repeat themselves, stop, speak of images that never come.

    The consumer crashes at any point, and may come back with another roster.
    """

    @initialize(
        experts=st.integers(0, 3),
        window=st.integers(1, 6),
        keep_late=st.booleans(),
        images=st.integers(0, 9),
    )
    def begin(self, experts: int, window: int, keep_late: bool, images: int) -> None:
        self.world = JoinWorld(EXPERTS[:experts], window, DEADLINE, keep_late=keep_late)
        self.answered = dict.fromkeys(EXPERTS, 0)  # images gone through
        self.images_are_published(images, 0, 1)

    def expert(self, choice: int) -> str | None:
        experts = self.world.experts
        return experts[choice % len(experts)] if experts else None

    @rule(count=st.integers(1, 4), gap=few, readable=st.integers(0, 5))
    def images_are_published(self, count: int, gap: int, readable: int) -> None:
        for _ in range(count):
            self.world.append(IMAGES, 0 if readable else None, gap)

    @rule(choice=few, count=st.integers(1, 4), gap=few, times=st.sampled_from([1, 1, 1, 0, 2]))
    def expert_answers(self, choice: int, count: int, gap: int, times: int) -> None:
        """`times` 0: it skips these images; 2: it says everything twice."""
        if (expert := self.expert(choice)) is None:
            return
        at = self.answered[expert]
        images = self.world.topics[IMAGES][at : at + count]
        self.answered[expert] += len(images)
        for image in images:
            for _ in range(times):
                self.world.append(expert, image.offset, gap)

    @rule(choice=few, image=st.integers(0, 40))
    def expert_speaks_out_of_turn(self, choice: int, image: int) -> None:
        """Of an image that was answered for, or was skipped, or that is yet to come, or never."""
        if (expert := self.expert(choice)) is not None:
            self.world.append(expert, image)

    @rule(choice=few, gap=few)
    def expert_publishes_garbage(self, choice: int, gap: int) -> None:
        """In the place of an answer, or besides."""
        if (expert := self.expert(choice)) is not None:
            self.world.append(expert, None, gap)

    @rule(count=st.integers(1, 6))
    def images_are_read(self, count: int) -> None:
        self.world.deliver(IMAGES, count)

    @rule(choice=few, count=st.integers(1, 6))
    def priors_are_read(self, choice: int, count: int) -> None:
        if (expert := self.expert(choice)) is not None:
            self.world.deliver(expert, count)

    @rule(count=st.integers(1, 6))
    def consumer_polls(self, count: int) -> None:
        for stream in [IMAGES, *self.world.experts]:
            self.world.deliver(stream, count)
        self.world.drain()

    @rule(seconds=st.sampled_from([0.125, 0.5 * DEADLINE, DEADLINE]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(choice=few, count=st.integers(1, 3), wait=st.sampled_from([0.5, 1.0]))
    def dead_expert_is_back(self, choice: int, count: int, wait: float) -> None:
        """Images leave without it; then it answers for them, and the stream may wait for it."""
        world = self.world
        if (expert := self.expert(choice)) is None:
            return
        world.now += DEADLINE
        self.consumer_polls(6)
        self.expert_answers(choice, count, 0, 1)
        world.deliver(expert, 6)
        world.now += wait * DEADLINE
        world.drain()

    @rule()
    def what_may_leaves(self) -> None:
        self.world.drain()

    @rule(count=few)
    def prefix_is_committed(self, count: int) -> None:
        self.world.commit(count)

    @rule()
    def consumer_crashes(self) -> None:
        self.world.restart()

    @rule(experts=st.lists(st.sampled_from(EXPERTS), unique=True))
    def roster_changes(self, experts: list[str]) -> None:
        self.world.restart(experts)

    def teardown(self) -> None:
        """With time, and every expert silent from here on, everything ends, once, in order."""
        if not hasattr(self, "world"):
            return
        world = self.world
        # One image after all that an expert may have spoken of, so that all of it is used up.
        world.append(IMAGES, 0, gap=100)
        waits = 0
        for _ in range(10_000):
            read = sum(world.deliver(stream, 1000) for stream in [IMAGES, *world.experts])
            left = world.drain()
            if read or left:
                continue
            if world.life.join.waiting:
                world.now += DEADLINE
                waits += 1
            else:
                break
        world.commit(len(world.life.out))
        # One until it counts as dead, and one to catch up.
        assert waits <= 2 * len(world.experts), "a dead expert cost more than two deadlines"
        self.check_ends()

    def check_ends(self) -> None:
        world = self.world
        ends = [each.image or each.unreadable for each in world.finished]
        assert [each for each in ends if each and each.stream == IMAGES] == world.topics[IMAGES]
        for expert in world.experts:
            assert not world.unread(expert)
            said = world.topics[expert]
            garbage = [each for each in ends if each and each.stream == expert]
            assert garbage == [each for each in said if each.image is None]
            told = [each.priors[expert] for each in world.finished if expert in each.priors]
            assert len(set(told)) == len(told), "a prior was used twice"
            if world.keep_late:
                assert {*told, *garbage} == set(said)


TestJoin = JoinMachine.TestCase
TestJoin.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
