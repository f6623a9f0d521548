"""An event loop whose clock is not the world's: it jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class FakeClockLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything can run, and then jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: FakeClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everybody waits, and nothing is due")
        if not events and timeout:
            self._loop.now += timeout
        return events


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a fake clock that starts at 0."""
    with asyncio.Runner(loop_factory=FakeClockLoop) as runner:
        return runner.run(main)
