"""The schedule of faults: what happens to whom, at which share of the run, all from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

# Kind -> weight, and the shortest and longest time that it lasts, in seconds. Below the session's
# time-out of six seconds a frozen worker keeps its partitions, above it becomes a zombie.
KINDS: dict[str, tuple[int, float, float]] = {
    "worker kill": (34, 0.0, 2.0),
    "worker freeze": (9, 0.5, 4.0),
    "worker zombie": (12, 8.0, 14.0),
    "worker restart": (7, 0.0, 0.5),
    "worker add": (7, 0.0, 0.0),
    "worker remove": (7, 0.0, 0.0),
    "broker kill": (9, 1.0, 8.0),
    "broker freeze": (5, 2.0, 10.0),
    "store kill": (5, 1.0, 6.0),
    "store freeze": (5, 2.0, 10.0),
}
LANES = ("worker", "broker", "store")
BROKERS = 3
_FIRST, _LAST = 0.02, 0.93  # share of the URLs that have ended: the run is up, and not yet over
_MOST = 4  # workers of a bundle


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: share of the URLs that have come to their end, at which it is due.
        target: ``<bundle>-<slot>`` of a worker, the number of a broker, or nothing for the store.
        seconds: until it is mended.
    """

    number: int
    at: float
    kind: str
    target: str
    seconds: float

    @property
    def lane(self) -> str:
        """Faults of brokers happen one at a time, and those of the store."""
        return self.kind.partition(" ")[0]

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:5.1%}  {self.kind:<14} {self.target}{lasts}"


def schedule(
    seed: int,
    faults: int,
    bundles: Sequence[str],
    workers: int,
    lanes: Sequence[str] = LANES,
) -> list[Fault]:
    """So many faults, in order, each kind at least once where there are enough.

    Args:
        bundles: names of the groups of stages that share a process.
        workers: processes of each at the beginning.
        lanes: what is hit at all.
    """
    chance = random.Random(seed)
    kinds = _kinds(chance, faults, [kind for kind in KINDS if kind.split()[0] in lanes])
    running = {bundle: list(range(workers)) for bundle in bundles}
    step = (_LAST - _FIRST) / max(1, faults)
    found = []
    for number, kind in enumerate(kinds):
        at = _FIRST + step * (number + chance.random())
        low, high = KINDS[kind][1:]
        target = _target(chance, kind, running)
        found.append(Fault(number, at, kind, target, round(chance.uniform(low, high), 1)))
    return found


def _kinds(chance: random.Random, faults: int, names: list[str]) -> list[str]:
    kinds = chance.sample(names, min(faults, len(names)))
    weights = [KINDS[name][0] for name in names]
    kinds += chance.choices(names, weights, k=faults - len(kinds))
    chance.shuffle(kinds)
    return kinds


def _target(chance: random.Random, kind: str, running: dict[str, list[int]]) -> str:
    """Who it hits; `running`, the workers there will be at that time, follows."""
    lane, _, what = kind.partition(" ")
    if lane == "broker":
        return str(chance.randrange(BROKERS))
    if lane == "store":
        return ""
    bundles = list(running)
    if what == "add":
        # Where all have as many as they may, one that is there is started anew under its name.
        bundle = min(bundles, key=lambda name: (len(running[name]) >= _MOST, chance.random()))
        slot = min(set(range(_MOST)) - set(running[bundle]), default=0)
        running[bundle] = sorted({*running[bundle], slot})
        return f"{bundle}-{slot}"
    if what == "remove":
        bundle = max(bundles, key=lambda name: (len(running[name]) > 1, chance.random()))
        slot = chance.choice(running[bundle])
        if len(running[bundle]) > 1:
            running[bundle].remove(slot)
        return f"{bundle}-{slot}"
    bundle = chance.choice(bundles)
    return f"{bundle}-{chance.choice(running[bundle])}"
