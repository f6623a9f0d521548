"""Whether a worker is alive and ready: what `/healthz` and `/readyz` tell of it.

Read from the thread that serves them, so that it is told of a worker whose event loop is stuck.
"""

from __future__ import annotations

import time

from consumers.client_stats import ClientStats
from densefusion import metrics

# Work in hand, the last commit and a store that is away take their time; not so much.
_LEAVING_SECONDS = 300.0


class Pulse:
    """The vital signs of one worker.

    A worker lives while its loop goes on polling, whatever it waits for: a start takes its time (so
    does an end, within limits), and brokers that are away do not come back because workers are
    started anew. It is ready from its first assignment on, also one of no partitions (a spare is
    ready to take over), while brokers are connected.

    Args:
        stuck_after: seconds without a poll, after which the worker counts as stuck.
    """

    def __init__(self, stage: str, stuck_after: float) -> None:
        self.stage = stage
        self._stuck_after = stuck_after
        self._beat: float | None = None  # None: it does not poll, and need not
        self._opened = self._joined = self._leaving = False
        self._stats: ClientStats | None = None
        self._ready = metrics.WORKER_READY.labels(stage)
        self._ready.set_function(lambda: float(not self.unready()))

    # -- from the worker ---------------------------------------------------------------------------

    def opened(self) -> None:
        """Its stage is open, engines are loaded; it asks the group for partitions."""
        self._opened = True
        self.beat()

    def beat(self) -> None:
        """It polls."""
        self._beat = time.monotonic()

    def joined(self) -> None:
        """The group has answered."""
        self._joined = True

    def heard(self, stats: ClientStats) -> None:
        self._stats = stats
        self._joined = self._joined or stats.joined

    def leaving(self) -> None:
        self._leaving = True
        self.beat()

    # -- from whoever asks -------------------------------------------------------------------------

    def stuck(self) -> str | None:
        """Why it should be started anew, or None."""
        beat = self._beat
        if beat is None:
            return None
        silent = time.monotonic() - beat
        if self._leaving:
            late = silent >= _LEAVING_SECONDS
            return f"has been leaving for {silent:.0f} s" if late else None
        if silent < self._stuck_after:
            return None
        return f"has not polled for {silent:.0f} s"

    def unready(self) -> str | None:
        """Why it takes no part in the work, or None."""
        if self._leaving:
            return "leaving"
        if not self._opened:
            return "starting: the stage is being opened, or waits for the brokers"
        if not self._joined:
            return "waiting for the group's first answer"
        if (stuck := self.stuck()) is not None:
            return stuck
        stats = self._stats
        if stats is not None and not stats.connected:
            return "no broker is connected"
        return None
