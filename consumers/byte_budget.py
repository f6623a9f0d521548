"""A bound on memory: who wants some waits until there is room, first come first served."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """Lends bytes, at most `limit` at a time; more than that to one who is alone, so that nothing
    is too large to be done. For one event loop.

    Attributes:
        held: bytes that are lent now.
    """

    def __init__(self, limit: int) -> None:
        self.held = 0
        self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def lend(self, size: int) -> Loan:
        """Wait for `size` bytes. Give the loan back, whatever happens: it is a context manager."""
        if self._waiting or not self._fits(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was lent in the same moment
                    self.held -= size
                self._serve()
                raise
        else:
            self.held += size
        return Loan(self, size)

    def change(self, by: int) -> None:
        """Count `by` more bytes as lent, or fewer; nobody is asked."""
        self.held += by
        self._serve()

    def _fits(self, size: int) -> bool:
        return not self.held or self.held + size <= self._limit

    def _serve(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():  # else it was cancelled
                if not self._fits(size):
                    return
                self.held += size
                turn.set_result(None)
            self._waiting.popleft()


class Loan:
    """Some bytes of a budget, until it is left."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self._budget = budget
        self.size = size

    def resize(self, size: int) -> None:
        """It has turned out to be so many."""
        by, self.size = size - self.size, size
        self._budget.change(by)

    def __enter__(self) -> Loan:
        return self

    def __exit__(self, *error: object) -> None:
        self.resize(0)
