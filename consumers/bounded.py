"""Calls into the Kafka client that may never return, whatever time-out they are given.

``send_offsets_to_transaction`` waits for ever where the group's coordinator went away for good
while it was asked (librdkafka issues 5456 and 5511).
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any

_OVER_SECONDS = 5.0


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
    try:
        answer, error = answers.get(timeout=args[-1] + _OVER_SECONDS)
    except queue.Empty:
        name = getattr(call, "__name__", "a call")
        raise NeverReturned(f"{name} has not returned in {args[-1] + _OVER_SECONDS:g} s") from None
    if error is not None:
        raise error
    return answer


def never_destroy(client: object) -> None:
    """Keep `client` for as long as the process lives: destroying it would wait for that call."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
