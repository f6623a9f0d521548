"""The world around a join: topics, a consumer that may crash, and a check of all that comes out.

The check knows the rules, not the way in which the join keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consumers.join import IMAGES, Joined, PartitionJoin


@dataclass(frozen=True)
class Entry:
    """One message: of a topic of images, or of priors (`image` is then the image's offset)."""

    offset: int
    image: int | None  # None: unreadable
    stream: str


@dataclass
class Life:
    """A join from its start to its crash, and what it was given."""

    join: PartitionJoin[Entry]
    read: dict[str, int]  # stream -> offset of the next message to read
    given: dict[str, list[Entry]] = field(default_factory=dict)
    came: dict[int, float] = field(default_factory=dict)  # image -> when
    heard: dict[str, float] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)  # had their deadline to catch up
    out: list[Joined[Entry]] = field(default_factory=list)  # not committed yet
    left: int = 0  # images


class JoinWorld:
    def __init__(
        self, experts: list[str], window: int, deadline: float, *, keep_late: bool = False
    ) -> None:
        self.experts = experts
        self.keep_late = keep_late
        self.window = window
        self.deadline = deadline
        self.now = 0.0
        self.topics: dict[str, list[Entry]] = {stream: [] for stream in [IMAGES, *experts]}
        self.committed = dict.fromkeys(self.topics, 0)
        self.finished: list[Joined[Entry]] = []
        self.last_left = -1
        self.restart()

    # -- the topics ------------------------------------------------------------------------------

    def append(self, stream: str, image: int | None, gap: int = 0) -> None:
        """Publish one message, `gap` offsets after the last (transaction markers take offsets)."""
        offset = (self.topics[stream][-1].offset + 1 if self.topics[stream] else 0) + gap
        if stream == IMAGES and image is not None:
            image = offset
        self.topics[stream].append(Entry(offset, image, stream))

    def unread(self, stream: str) -> list[Entry]:
        return [each for each in self.topics[stream] if each.offset >= self.life.read[stream]]

    # -- the consumer ----------------------------------------------------------------------------

    def restart(self, experts: list[str] | None = None) -> None:
        """A crash: memory is lost, and both sides are read again from what was committed.

        Args:
            experts: the roster from now on, where that changes.
        """
        for expert in experts or []:
            self.topics.setdefault(expert, [])
            self.committed.setdefault(expert, 0)
        self.experts = self.experts if experts is None else experts
        join: PartitionJoin[Entry] = PartitionJoin(
            self.experts, window=self.window, deadline=self.deadline, keep_late=self.keep_late
        )
        self.life = Life(join, dict(self.committed), {stream: [] for stream in self.topics})
        ended = [each.image or each.unreadable for each in self.finished]
        images = [each.offset for each in ended if each is not None and each.stream == IMAGES]
        self.last_left = images[-1] if images else -1

    def deliver(self, stream: str, most: int) -> int:
        """Give the join what it has room for; how much that was."""
        life = self.life
        count = 0
        for entry in self.unread(stream)[:most]:
            if life.join.full(stream):
                break
            life.read[stream] = entry.offset + 1
            life.given[stream].append(entry)
            if stream == IMAGES:
                life.came[entry.offset] = self.now
                life.join.image(entry.offset, entry, self.now, readable=entry.image is not None)
            else:
                self._word(stream, entry)
                life.join.prior(stream, entry.offset, entry.image, entry, self.now)
            count += 1
        return count

    def drain(self) -> int:
        """Take everything that may leave, and check it; how much it was."""
        count = 0
        for joined in self.life.join.ready(self.now):
            self._check(joined)
            self.life.out.append(joined)
            count += 1
        self._check_rest()
        return count

    def commit(self, most: int) -> None:
        """Commit a finished prefix."""
        for joined in self.life.out[:most]:
            for stream, offset in joined.passed.items():
                assert offset >= self.committed[stream], "a committed offset went back"
                self.committed[stream] = offset
            self.finished.append(joined)
        del self.life.out[:most]

    # -- the rules -------------------------------------------------------------------------------

    def _head(self) -> Entry | None:
        images = self.life.given[IMAGES]
        return images[self.life.left] if self.life.left < len(images) else None

    def _gone(self, expert: str, image: Entry) -> bool:
        life = self.life
        since = max(life.heard.get(expert, float("-inf")), life.came[image.offset])
        return expert in life.dead or self.now - since >= self.deadline

    def _floor(self) -> int:
        """A prior for an image before this one is late."""
        head = self._head()
        left = self.life.given[IMAGES][: self.life.left]
        return head.offset if head else left[-1].offset + 1 if left else 0

    def _word(self, expert: str, entry: Entry) -> None:
        """An expert speaks: whether it keeps up, and what it is given if it does not."""
        life, head = self.life, self._head()
        if entry.image is not None and entry.image >= self._floor():
            life.heard[expert] = self.now
            life.dead.discard(expert)
            life.behind.discard(expert)
            return
        if expert not in life.dead and not (head and self._gone(expert, head)):
            return
        life.dead.add(expert)
        if expert not in life.behind and not self.keep_late:
            life.dead.discard(expert)
            life.behind.add(expert)
            life.heard[expert] = self.now

    def _check(self, joined: Joined[Entry]) -> None:
        floor = self._floor()
        if joined.late:
            ((expert, prior),) = joined.priors.items()
            assert self.keep_late and prior.stream == expert
            assert prior.image is not None and prior.image < floor
            assert joined.passed == {expert: prior.offset + 1}
        elif joined.unreadable is not None and joined.unreadable.stream != IMAGES:
            assert joined.image is None and joined.unreadable.image is None
            assert joined.passed == {joined.unreadable.stream: joined.unreadable.offset + 1}
        else:
            self._check_image(joined)
        for expert in self.experts:
            used = [
                each
                for each in self.life.given[expert]
                if each.offset < joined.passed.get(expert, 0) and each.image is not None
            ]
            assert all(each.image < self._floor() for each in used), "a prior was passed too early"

    def _check_image(self, joined: Joined[Entry]) -> None:
        life = self.life
        head = self._head()
        assert head is not None
        assert (joined.image or joined.unreadable) is head, "an image left out of turn"
        assert (joined.unreadable is head) == (head.image is None)
        life.left += 1
        self.last_left = head.offset
        assert joined.passed[IMAGES] == head.offset + 1
        if head.image is None:
            assert joined.priors == {} and joined.missing == {}
            return
        assert {*joined.priors, *joined.missing} == set(self.experts)
        for expert in self.experts:
            self._check_prior(expert, head, joined)

    def _check_prior(self, expert: str, image: Entry, joined: Joined[Entry]) -> None:
        # Experts speak in order, so their first word of this image or a later one decides.
        words = (each for each in self.life.given[expert] if each.image is not None)
        first = next((each for each in words if each.image >= image.offset), None)
        if first is not None and first.image == image.offset:
            assert joined.priors[expert] is first
            assert joined.passed[expert] >= first.offset + 1
            return
        assert expert in joined.missing
        if first is not None:
            assert joined.missing[expert].startswith("passed by")
        else:
            assert joined.missing[expert].startswith("silent")
            assert self._gone(expert, image), "an expert was given up too early"
            self.life.dead.add(expert)

    def _check_rest(self) -> None:
        """What stays waits for an expert that may still answer, and for no other reason."""
        life = self.life
        assert life.join.waiting == len(life.given[IMAGES]) - life.left <= self.window
        assert life.join.held <= self.window * (1 + len(self.experts))
        head = self._head()
        if head is None:
            return
        assert head.image is not None, "an unreadable image waits"
        silent = [
            expert
            for expert in self.experts
            if not any(
                each.image is not None and each.image >= head.offset for each in life.given[expert]
            )
        ]
        assert any(not self._gone(expert, head) for expert in silent), "waits for nothing"
