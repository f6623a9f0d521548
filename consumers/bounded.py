"""Calls into the Kafka client that may never return, whatever time-out they are given.

``send_offsets_to_transaction`` waits for ever where the group's coordinator went away for good
while it was asked (librdkafka issues 5456 and 5511).
"""

from __future__ import annotations

import ctypes
import math
import queue
import threading
from collections.abc import Callable
from typing import Any

_OVER_SECONDS = 5.0
_STEP_SECONDS = 0.5


class NeverReturned(Exception):
    """A call did not come back. What it was called on must not be touched again."""


def bounded(call: Callable[..., Any], *args: Any) -> Any:
    """``call(*args)``, whose last argument is its own time-out in seconds.

    Raises:
        NeverReturned: it is still there some seconds after that.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(*args), None))
        except BaseException as error:
            answers.put((None, error))

    # A daemon: one that never ends must not keep the process from ending.
    threading.Thread(target=run, name="bounded-call", daemon=True).start()
    seconds = args[-1] + _OVER_SECONDS
    # In steps: a process that was stopped for an hour has lost one of them, not all.
    for _ in range(math.ceil(seconds / _STEP_SECONDS)):
        try:
            answer, error = answers.get(timeout=min(_STEP_SECONDS, seconds))
            break
        except queue.Empty:
            continue
    else:
        raise NeverReturned(
            f"{getattr(call, '__name__', 'a call')} has not returned in {seconds:g} s"
        )
    if error is not None:
        raise error
    return answer


def never_destroy(client: object) -> None:
    """Keep `client` for as long as the process lives: destroying it would wait for that call."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
