"""Which rejects and dead letters are meant, and which of them have a way back. Pure.

What it does to put a record back depends on the topic that it came from:

=====================  ============================================================================
topic                  put back at its end, the record
=====================  ============================================================================
``urls``               is fetched again, as any URL
``fetched``            is curated again; a claim that its own last attempt left is taken back first
``images``             is seen by every expert and joined at its new place. Only where fusion gave
                       it up: where an expert did, the image went on without that expert, and would
                       be captioned twice
``priors.<expert>``    would be late: its image has left the join without it. Not put back
``captions``,          is stored by the dataset again (a caption's row is keyed by its image's
``rejects``            place, so that it is there once)
=====================  ============================================================================

A duplicate is not put back either: the image that it repeats still holds the claim on the content,
so that it would end as a duplicate again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from densefusion import topics
from densefusion.replay.origin import Found

_PRIORS = topics.priors("")
_NO_WAY = {topics.DEAD_LETTERS: "nothing consumes this topic"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which ones are meant: those that fit every condition that is given.

    Attributes:
        reasons: reject reasons, or patterns of them such as ``http-5*``.
        stages: stages that gave them up.
        topics: topics that they came from, without the prefix.
        since, until: milliseconds since 1970, UTC; from the one, up to before the other.
        limit: put back so many at the most.
        max_attempts: a record that has been tried so often stays where it is.
    """

    reasons: Collection[str] = ()
    stages: Collection[str] = ()
    topics: Collection[str] = ()
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    max_attempts: int = 3

    def means(self, found: Found, prefix: str = "") -> bool:
        """Whether `found` is one of them."""
        if self.since is not None and found.time < self.since:
            return False
        if self.until is not None and found.time >= self.until:
            return False
        if self.stages and found.stage not in self.stages:
            return False
        if self.reasons and not any(fnmatchcase(found.reason, each) for each in self.reasons):
            return False
        if not self.topics:
            return True
        return found.origin is not None and short(found.origin.topic, prefix) in self.topics


def no_way_back(found: Found, prefix: str, known: Collection[str]) -> str | None:
    """Why it would not help to put `found` back; None where it may.

    Args:
        known: full names of the stream's topics.
    """
    if found.origin is None:
        return found.problem or "it is not known what it was"
    if found.origin.topic not in known:
        return f"{found.origin.topic} is no topic of this stream"
    topic = short(found.origin.topic, prefix)
    if topic.startswith(_PRIORS):
        return "a prior that comes back is late: its image has left without it"
    if topic == topics.IMAGES and found.stage != "fusion":
        return "it cost a prior, no caption: the image went on, and would be captioned twice"
    if found.reason == "duplicate" and topic == topics.FETCHED:
        return "it would be a duplicate again"
    return _NO_WAY.get(topic)


def short(topic: str, prefix: str) -> str:
    """A topic's name without the prefix."""
    return topic.removeprefix(prefix)
