"""The join of one partition: images with the experts' priors, as a merge of ordered streams.

Pure: no Kafka, no clock of its own. Every expert answers in the order of the images, so

- a prior for a later image means that its expert has passed this one by: nothing to wait for;
- an expert with nothing here yet is waited for, until it has been silent for the deadline, counted
  from its last word and from the coming of the image (it had nothing to say before). Then it counts
  as dead, and no image waits for it until it speaks again: a dead expert costs one deadline, not
  one an image;
- a prior for an image that has left is late, and dropped.

At most `window` images and `window` priors of each expert are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
IMAGES = ""  # stands for the stream of images where an expert's name could


@dataclass(slots=True)
class Joined(Generic[T]):
    """One image and what the experts said of it.

    `passed`: for each stream, the offset up to which everything is used up once this is finished.
    `unreadable`: set instead of `image` for a message that could not be read.
    """

    image: T | None
    priors: dict[str, T]
    missing: dict[str, str]
    passed: dict[str, int]
    unreadable: T | None = None


@dataclass(slots=True)
class _Item(Generic[T]):
    offset: int  # of the message itself
    image_offset: int | None  # None: unreadable
    payload: T
    came: float


@dataclass(slots=True)
class _Expert(Generic[T]):
    priors: deque[_Item[T]] = field(default_factory=deque)
    heard: float = float("-inf")
    dead: bool = False
    passed: int | None = None  # to be committed with the next image


class PartitionJoin(Generic[T]):
    """The join of one partition number.

    Args:
        experts: the roster: who is waited for.
        window: images, and priors of each expert, held at the most.
        deadline: seconds of silence after which an expert counts as dead.
    """

    def __init__(self, experts: Iterable[str], *, window: int, deadline: float) -> None:
        self._images: deque[_Item[T]] = deque()
        self._experts: dict[str, _Expert[T]] = {name: _Expert() for name in experts}
        self._window = window
        self._deadline = deadline
        self._left = -1  # offset of the last image that left
        self.late = 0

    def image(self, offset: int, payload: T, now: float, *, readable: bool = True) -> None:
        """The next image of the partition."""
        self._images.append(_Item(offset, offset if readable else None, payload, now))

    def prior(
        self, expert: str, offset: int, image_offset: int | None, payload: T, now: float
    ) -> None:
        """The next prior of an expert; `image_offset` None where it could not be read."""
        stream = self._experts[expert]
        stream.heard = now
        stream.dead = False
        stream.priors.append(_Item(offset, image_offset, payload, now))

    def full(self, stream: str) -> bool:
        """Whether `stream` (an expert's name, or `IMAGES`) holds as much as it may."""
        return len(self._queue(stream)) >= self._window

    def half_empty(self, stream: str) -> bool:
        """Whether a paused `stream` should be resumed."""
        return len(self._queue(stream)) <= self._window // 2

    @property
    def waiting(self) -> int:
        """Images held."""
        return len(self._images)

    def ready(self, now: float) -> Iterator[Joined[T]]:
        """Everything that can leave now, in order."""
        while (joined := self.next(now)) is not None:
            yield joined

    def next(self, now: float) -> Joined[T] | None:
        """The next one that can leave now, or None."""
        for name, expert in self._experts.items():
            while expert.priors and self._stale(expert.priors[0]):
                item = expert.priors.popleft()
                expert.passed = item.offset + 1
                if item.image_offset is None:
                    return Joined(None, {}, {}, {name: expert.passed}, item.payload)
                self.late += 1
        if not self._images:
            return None
        head = self._images[0]
        if head.image_offset is None:
            return self._leave(Joined(None, {}, {}, {}, head.payload))
        joined: Joined[T] = Joined(head.payload, {}, {}, {})
        for name, expert in self._experts.items():
            if expert.priors:
                if expert.priors[0].image_offset != head.offset:
                    joined.missing[name] = "passed by: its priors go on after this image"
            elif not self._gone(expert, head, now):
                return None
            else:
                joined.missing[name] = f"silent for {self._deadline:g} s"
        for name, expert in self._experts.items():
            if name not in joined.missing:
                item = expert.priors.popleft()
                joined.priors[name] = item.payload
                expert.passed = item.offset + 1
        return self._leave(joined)

    def _leave(self, joined: Joined[T]) -> Joined[T]:
        """The head image leaves, and with it what its experts' streams have used up."""
        head = self._images.popleft()
        self._left = head.offset
        joined.passed[IMAGES] = head.offset + 1
        for name, expert in self._experts.items():
            if expert.passed is not None:
                joined.passed[name] = expert.passed
                expert.passed = None
        return joined

    def _stale(self, prior: _Item[T]) -> bool:
        """Whether the prior at the head of its stream can match no image any more."""
        if prior.image_offset is None:
            return True
        oldest = self._images[0].offset if self._images else self._left + 1
        return prior.image_offset < oldest

    def _gone(self, expert: _Expert[T], head: _Item[T], now: float) -> bool:
        """Whether an expert with nothing here is dead, so that the head need not wait."""
        if not expert.dead:
            expert.dead = now - max(expert.heard, head.came) >= self._deadline
        return expert.dead

    def _queue(self, stream: str) -> deque[_Item[T]]:
        return self._images if stream == IMAGES else self._experts[stream].priors
