"""The one thread that calls the consumer.

The client lets one thread at a time into a consumer, and is "in" it for as long as a poll waits or
a rebalance callback runs. So whoever else needs the consumer, a commit above all, hands the call
over; the thread makes it between two polls, or from inside the callback that waits for it.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_STEP_SECONDS = 0.05


class ConsumerThread:
    """Runs what it is given, one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a poll, or what else may call back."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def call(self, job: Callable[[], T]) -> T:
        """Make a call between polls, or inside a callback that is waiting (`serve`)."""
        done: Future[T] = Future()
        self._calls.put((done, job))
        self._thread.submit(self._drain)
        return await asyncio.wrap_future(done)

    def serve(self, until: Future[None], seconds: float) -> None:
        """In a callback: make the calls that come until `until` is done.

        Raises:
            TimeoutError: that took too long.
            Exception: whatever `until` ended with.
        """
        left = seconds
        while not until.done() and left > 0:
            began = time.monotonic()
            try:
                self._make(*self._calls.get(timeout=_STEP_SECONDS))
            except queue.Empty:
                left -= _STEP_SECONDS  # by the clock, a process that was stopped would give up
            else:
                left -= time.monotonic() - began
        until.result(0)

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _drain(self) -> None:
        while True:
            try:
                self._make(*self._calls.get_nowait())
            except queue.Empty:
                return

    def _make(self, done: Future[Any], job: Callable[[], Any]) -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(job())
        except BaseException as error:
            done.set_exception(error)
