"""Ctrl-C and SIGTERM: the first asks, the second insists."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def stop_on_signals(stop: threading.Event, *, at_once: bool = False) -> None:
    """Set `stop` at the first SIGINT or SIGTERM; raise KeyboardInterrupt at the next.

    Args:
        at_once: raise at the first as well, where nobody looks at `stop` yet. Other people's code
            (a callback from C, a finaliser) may swallow what is raised; `stop` remembers.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        insists = at_once or stop.is_set()
        stop.set()
        if insists:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
