"""The circuit breaker: a stage that gives up most of its records stops.

One bad record is data; a hundred in a row are a wrong schema, a wrong setting, or a bug of ours,
and would drain the topic into the bin. So a worker counts which of its last `window` records died,
and stops at the first that makes them more than `share` of the window. That record, and whatever
dies in the moment of stopping, is not committed: from one start to the next, a worker gives up at
most ``share x window`` of any `window` records that follow each other.

Which deaths count: dead letters; and rejects whose reason the stage itself names in `breaks_on`,
because it may be the fault of a server, or of a setting, that stands behind it, rather than of the
record. A list of dead hosts, or of images that have all been seen, stops nobody.
"""

from __future__ import annotations

from collections import deque


class Breaker:
    """Counts deaths among the last records of one worker.

    It need not have seen a whole window: what has not come yet counts as having gone well, so that
    a few bad records at the start stop nobody.

    Args:
        share: more than this share of the window must have died; 1 never stops.
        window: records looked back upon.
    """

    def __init__(self, share: float, window: int) -> None:
        self._share = share
        self._window = window
        self._last: deque[bool] = deque(maxlen=window)
        self._died = 0
        self._tripped: str | None = None

    def record(self, died: bool, why: str = "") -> None:
        """One more record is finished.

        Args:
            why: of a record that died: a reject's reason, or the exception, for the message.
        """
        if len(self._last) == self._window:
            self._died -= self._last[0]
        self._last.append(died)
        self._died += died
        if died and self._tripped is None and self._died > self._share * self._window:
            self._tripped = (
                f"{self._died} of the last {len(self._last)} records could not be processed"
                f"{f', the last one because of {why}' if why else ''}"
            )

    @property
    def tripped(self) -> str | None:
        """Why the worker has to stop, or None. Once tripped it stays so."""
        return self._tripped
