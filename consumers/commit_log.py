"""What a worker has committed, as a line in its log every so often."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from consumers.transaction import Outgoing
from densefusion.logs import seldom

log = logging.getLogger("densefusion.checkpoints")


class CommitLog:
    """Adds commits up, and logs one line for those of `seconds`.

    The first commit is logged at once, so that a log shows that its worker works; what has not been
    logged when the worker leaves is logged by `close`.

    Args:
        stage: name of the stage.
        due: None while it is too soon for another line.
    """

    def __init__(self, stage: str, due: Callable[[str], int | None] | None = None) -> None:
        self._stage = stage
        self._due = due or seldom()
        self._commits = self._records = 0
        self._published: Counter[str] = Counter()
        self._offsets: dict[tuple[str, int], int] = {}
        self._slowest = 0.0

    def add(
        self,
        records: int,
        outgoing: Sequence[Outgoing],
        offsets: Mapping[tuple[str, int], int],
        seconds: float,
    ) -> None:
        """One commit: of so many records, in so many seconds."""
        self._commits += 1
        self._records += records
        self._published.update(message.topic for message in outgoing)
        self._offsets.update(offsets)
        self._slowest = max(self._slowest, seconds)
        if self._due("committed") is not None:
            self.close()

    def close(self) -> None:
        """Log what has not been logged yet."""
        if not self._commits:
            return
        offsets: dict[str, dict[int, int]] = {}
        for (topic, partition), offset in sorted(self._offsets.items()):
            offsets.setdefault(topic, {})[partition] = offset
        log.info(
            "committed",
            extra={
                "stage": self._stage,
                "records": self._records,
                "published": dict(self._published),
                "commits": self._commits,
                "slowest_seconds": round(self._slowest, 3),
                "offsets": offsets,
            },
        )
        self._commits = self._records = 0
        self._published.clear()
        self._offsets.clear()
        self._slowest = 0.0
