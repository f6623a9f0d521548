"""A bound on the memory of what threads do at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """Lends bytes to threads, at most `limit` at a time; more than that to one who is alone, so
    that nothing is too large to be done. `consumers.byte_budget` is the same for coroutines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._free = threading.Condition()

    @contextmanager
    def __call__(self, size: int) -> Iterator[None]:
        """Wait for `size` bytes; they are given back at the end."""
        with self._free:
            self._free.wait_for(lambda: not self._held or self._held + size <= self._limit)
            self._held += size
        try:
            yield
        finally:
            with self._free:
                self._held -= size
                self._free.notify_all()
