"""What may be said once in a while only."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_KEYS = 256


class Seldom:
    """Lets each key through once in `seconds`; of the keys, the 256 seen last are remembered.

    Args:
        seconds: 0 lets everything through.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def __call__(self, key: Hashable) -> int | None:
        """None where it is too soon, else how often it was too soon since the last time."""
        now = self._clock()
        last = self._last.pop(key, None)
        if last is not None and now - last[0] < self._seconds:
            self._last[key] = (last[0], last[1] + 1)
            return None
        self._last[key] = (now, 0)
        if len(self._last) > _KEYS:
            self._last.popitem(last=False)
        return last[1] if last is not None else 0
