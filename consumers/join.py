"""The join of one partition: images with the experts' priors, as a merge of ordered streams.

Pure: no Kafka, no clock of its own. Every expert answers in the order of the images, so

- a prior for a later image means that its expert has passed this one by: nothing to wait for;
- an expert with nothing here yet is waited for, until it has been silent for the deadline, counted
  from its last word and from the coming of the image (it had nothing to say before). Then it counts
  as dead, and no image waits for it until it is back: a dead expert costs one deadline, not one an
  image;
- a prior for an image that has left is late: it is dropped, or, where captions are made again,
  leaves by itself.

What counts as a word. Only an answer for an image that is still to leave says that its expert keeps
up. A late prior, or one that nobody can read, says no more than that it runs: an expert that works
off a backlog, or repeats what it said, would otherwise hold the stream for as long as that takes.
So such a word

- does not put off the deadline of an expert that is waited for;
- gives a dead one, once, a deadline to catch up. Without it an expert could not come back while the
  stream is busy: it begins at the images that are done (its worker skips what nobody waits for),
  but at full speed those are always some way ahead of its first answer. If it does not catch up in
  that time, then only an answer in time revives it. A return costs one deadline at the most;
- gives nothing where captions are made again: then late priors are not lost, and nobody waits.

A prior whose image never comes (its offset was skipped, or lies beyond the end of the topic) waits
for its turn like any other, and is dropped as late when the images have gone on past it.

At most `window` images and `window` priors of each expert are held, and what one poll brings.
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
    """One image and what the experts said of it; or a late prior; or what could not be read.

    `passed`: for each stream, the offset up to which everything is used up once this is finished.
    `unreadable`: set instead of `image` for a message that could not be read.
    `late`: `priors` holds a single one, whose image has left.
    """

    image: T | None
    priors: dict[str, T]
    missing: dict[str, str]
    passed: dict[str, int]
    unreadable: T | None = None
    late: bool = False


@dataclass(slots=True)
class _Image(Generic[T]):
    offset: int
    readable: bool
    payload: T
    came: float


@dataclass(slots=True)
class _Expert(Generic[T]):
    name: str
    # (offset of the message, offset of its image or None where it is unreadable, payload)
    priors: deque[tuple[int, int | None, T]] = field(default_factory=deque)
    heard: float = float("-inf")
    dead: bool = False
    behind: bool = False  # it had its time to catch up
    passed: int | None = None  # to be committed with the next image


class PartitionJoin(Generic[T]):
    """The join of one partition number.

    Args:
        experts: the roster: who is waited for.
        window: images, and priors of each expert, held at the most.
        deadline: seconds of silence after which an expert counts as dead.
        keep_late: hand out late priors instead of dropping them.

    Attributes:
        late: priors dropped; the owner may set it back.
        held: images and priors held.
    """

    def __init__(
        self, experts: Iterable[str], *, window: int, deadline: float, keep_late: bool = False
    ) -> None:
        self._images: deque[_Image[T]] = deque()
        self._experts: dict[str, _Expert[T]] = {name: _Expert(name) for name in experts}
        self._all = list(self._experts.values())
        self._window = window
        self._deadline = deadline
        self._keep_late = keep_late
        self._floor = 0  # a prior for an image before this one is late
        self._sweep = False  # such a prior, or an unreadable one, may be at the head of its stream
        self.late = 0
        self.held = 0

    def image(self, offset: int, payload: T, now: float, *, readable: bool = True) -> None:
        """The next image of the partition."""
        if not self._images:
            self._floor = offset
            self._sweep = True
        self._images.append(_Image(offset, readable, payload, now))
        self.held += 1

    def prior(
        self, expert: str, offset: int, image_offset: int | None, payload: T, now: float
    ) -> None:
        """The next prior of an expert; `image_offset` None where it could not be read."""
        stream = self._experts[expert]
        if image_offset is not None and image_offset >= self._floor:
            stream.heard = now
            stream.dead = stream.behind = False
        else:
            self._sweep = True
            gone = stream.dead or (self._images and self._gone(stream, self._images[0], now))
            if gone and not stream.behind and not self._keep_late:
                stream.dead = False
                stream.behind = True
                stream.heard = now
        stream.priors.append((offset, image_offset, payload))
        self.held += 1

    def full(self, stream: str) -> bool:
        """Whether `stream` (an expert's name, or `IMAGES`) holds as much as it may."""
        return self._size(stream) >= self._window

    def half_empty(self, stream: str) -> bool:
        """Whether a paused `stream` should be resumed."""
        return self._size(stream) <= self._window // 2

    @property
    def waiting(self) -> int:
        """Images held."""
        return len(self._images)

    @property
    def oldest(self) -> tuple[float, T] | None:
        """When the image that has waited longest came, and what it is."""
        return (self._images[0].came, self._images[0].payload) if self._images else None

    def ready(self, now: float) -> Iterator[Joined[T]]:
        """Everything that can leave now, in order."""
        while (joined := self.next(now)) is not None:
            yield joined

    def next(self, now: float) -> Joined[T] | None:
        """The next one that can leave now, or None."""
        if self._sweep and (swept := self._swept()) is not None:
            return swept
        if not self._images:
            return None
        head = self._images[0]
        if not head.readable:
            return self._leave(Joined(None, {}, {}, {}, head.payload))
        for expert in self._all:
            if not (expert.priors or expert.dead or self._gone(expert, head, now)):
                return None
        joined: Joined[T] = Joined(head.payload, {}, {}, {})
        for expert in self._all:
            if not expert.priors:
                joined.missing[expert.name] = f"silent for {self._deadline:g} s"
            elif expert.priors[0][1] != head.offset:
                joined.missing[expert.name] = "passed by: its priors go on after this image"
            else:
                offset, _, joined.priors[expert.name] = expert.priors.popleft()
                expert.passed = offset + 1
                self.held -= 1
        return self._leave(joined)

    def _swept(self) -> Joined[T] | None:
        """Drop late priors from the heads of their streams; one that has to leave, if any."""
        for expert in self._all:
            priors = expert.priors
            while priors and ((of := priors[0][1]) is None or of < self._floor):
                offset, _, payload = priors.popleft()
                self.held -= 1
                passed = {expert.name: offset + 1}
                expert.passed = offset + 1
                if of is None:
                    return Joined(None, {}, {}, passed, payload)
                if self._keep_late:
                    return Joined(None, {expert.name: payload}, {}, passed, late=True)
                self.late += 1
        self._sweep = False
        return None

    def _leave(self, joined: Joined[T]) -> Joined[T]:
        """The head image leaves, and with it what its experts' streams have used up."""
        head = self._images.popleft()
        self.held -= 1
        after = head.offset + 1
        floor = self._floor = self._images[0].offset if self._images else after
        passed = joined.passed
        passed[IMAGES] = after
        for expert in self._all:
            if expert.passed is not None:
                passed[expert.name] = expert.passed
                expert.passed = None
            if expert.priors and ((of := expert.priors[0][1]) is None or of < floor):
                self._sweep = True
        return joined

    def _gone(self, expert: _Expert[T], head: _Image[T], now: float) -> bool:
        """Whether an expert with nothing here is dead, so that the head need not wait."""
        expert.dead = now - max(expert.heard, head.came) >= self._deadline
        return expert.dead

    def _size(self, stream: str) -> int:
        return len(self._images if stream == IMAGES else self._experts[stream].priors)
