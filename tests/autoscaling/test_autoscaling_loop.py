"""The loop, with a clock and brokers of the test's own: nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from densefusion.plan.autoscaler import Offsets, Rules
from tests.autoscaling.loop import Loop
from tests.autoscaling.targets import Target, Trigger

PARTITIONS = 4
ONE = Trigger("ocr", "images")
OTHER = Trigger("ocr", "priors.tagging")


@dataclass
class World:
    """Time, offsets, and workers that begin at once, each done with `rate` records a second."""

    rate: float = 10.0
    now: float = 1000.0
    ends: dict[Trigger, float] = field(default_factory=dict)
    committed: dict[Trigger, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    resized: list[tuple[float, int]] = field(default_factory=list)
    markers: int = 0
    away: bool = False

    def clock(self) -> float:
        return self.now

    def resize(self, target: str, size: int) -> None:
        self.sizes[target] = size
        self.resized.append((self.now, size))

    def read(self, triggers: Iterable[Trigger]) -> Mapping[Trigger, Offsets]:
        if self.away:
            raise TimeoutError
        found = {}
        for each in triggers:
            done, end = self.committed.get(each, 0.0), self.ends.get(each, 0.0)
            found[each] = {
                number: (int(done / PARTITIONS), int(end / PARTITIONS) + self.markers)
                for number in range(PARTITIONS)
            }
        return found

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        able = self.rate * min(PARTITIONS, sum(self.sizes.values())) * seconds
        for each, end in self.ends.items():
            self.committed[each] = min(end, self.committed.get(each, 0.0) + able)


def looped(world: World, rules: Rules, *triggers: Trigger) -> Loop:
    target = Target("ocr", ("ocr",), triggers or (ONE,), rules)
    loop = Loop([target], PARTITIONS, world.read, world, world.clock)
    loop.start()
    return loop


def after(loop: Loop, world: World, looks: int, every: float = 15.0) -> list[int]:
    """Workers asked for, look by look."""
    sizes = []
    for _ in range(looks):
        world.pass_by(every)
        sizes.append(loop.step().asked["ocr"])
    return sizes


def test_a_burst_is_drained_by_all_and_then_there_is_the_minimum_again() -> None:
    world = World()
    loop = looped(world, Rules(300, maximum=8))
    assert world.sizes == {"ocr": 1}
    world.ends[ONE] = 8000
    sizes = after(loop, world, 60)
    assert sizes[0] == PARTITIONS  # more would have nothing to read
    assert max(sizes) == PARTITIONS
    assert world.committed[ONE] == 8000
    assert sizes[-1] == 1 and loop.at_minimum
    up, *down = [size for _, size in world.resized][1:]
    assert up == PARTITIONS and down == sorted(down, reverse=True)  # up once, and only down then


def test_scale_in_waits_for_the_window() -> None:
    world = World()
    loop = looped(world, Rules(300, maximum=8, stabilisation=120))
    world.ends[ONE] = 1200
    after(loop, world, 1)
    grown = world.now
    world.committed[ONE] = 1200
    after(loop, world, 30)
    (shrunk,) = [at for at, size in world.resized if size == 1 and at > grown]
    assert 120 < shrunk - grown <= 120 + 15


def test_markers_keep_nobody_awake() -> None:
    """A drained topic that is written in transactions still lags by one on each partition."""
    world = World(markers=1)
    loop = looped(world, Rules(PARTITIONS, maximum=8, stabilisation=0))
    world.ends[ONE] = 400
    assert max(after(loop, world, 20)) == PARTITIONS
    assert loop.samples[-1].lags == {"ocr": PARTITIONS}
    assert loop.at_minimum


def test_a_threshold_below_the_partitions_never_comes_back() -> None:
    """Why a stage's lagThreshold must be at least its partitions over its minimum."""
    world = World(markers=1)
    loop = looped(world, Rules(PARTITIONS // 2, maximum=8, stabilisation=0))
    world.ends[ONE] = 400
    assert after(loop, world, 20)[-1] == 2


def test_a_join_grows_with_what_all_of_its_topics_have() -> None:
    world = World()
    world.ends |= {ONE: 4000, OTHER: 0}
    rules = Rules(300, maximum=8)
    assert after(looped(world, rules, ONE, OTHER), world, 1) == [PARTITIONS]
    world = World()
    world.ends |= {ONE: 4000, OTHER: 0}
    waiting = looped(world, Rules(300, maximum=8, combine="min"), ONE, OTHER)
    assert after(waiting, world, 3) == [1, 1, 1]
    world.ends[OTHER] = world.committed[ONE] + 2000
    world.ends[ONE] = world.committed[ONE] + 2000
    assert after(waiting, world, 1)[0] > 1


def test_brokers_that_are_away_change_nothing() -> None:
    world = World()
    loop = looped(world, Rules(300, maximum=8))
    world.ends[ONE] = 8000
    after(loop, world, 1)
    world.away = True
    with pytest.raises(TimeoutError):
        loop.step()
    assert world.sizes == {"ocr": PARTITIONS}


def test_to_zero_and_back() -> None:
    world = World(markers=1)
    rules = Rules(300, activation_lag=PARTITIONS, minimum=0, maximum=8, cooldown=60, polling=30)
    loop = looped(world, rules)
    assert world.sizes == {"ocr": 0}
    assert after(loop, world, 10) == [0] * 10
    world.ends[ONE] = 100
    assert after(loop, world, 3)[-1] == 1
    assert after(loop, world, 40)[-1] == 0
    assert world.committed[ONE] == 100
