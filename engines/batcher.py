"""Dynamic batching: forms batches across whatever is in flight, without waiting for any."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from engines.errors import EngineError

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Puts items that are submitted one by one through `run` in batches.

    As soon as a worker thread is free it takes what waits, first come first served: a quiet
    stream pays no delay, a busy one fills its batches by itself. What waits is spread over all
    the threads that are free. The queue has no bound of its own: it holds what its callers await,
    so their concurrency bounds it.

    `run` is called in a worker thread, by `workers` threads at once. Where it raises for a batch,
    each item of the batch is tried alone, so that a bad one fails alone.

    Args:
        run: a batch in, as many results out, in order.
        max_batch: items in one batch, at the most.
        workers: threads of its own that it has.
        name: names the threads.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        *,
        max_batch: int,
        workers: int,
        name: str,
    ) -> None:
        if max_batch < 1 or workers < 1:
            raise ValueError("max_batch and workers must be at least 1")
        self._run = run
        self._max_batch = max_batch
        self._workers = workers
        self._name = name
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._running: set[asyncio.Future[list[R | BaseException]]] = set()
        self._closed = False

    async def submit(self, item: T) -> R:
        """The result of `item`.

        Raises:
            EngineError: the batcher is closed.
            Exception: what `run` raised for this item.
        """
        if self._closed:
            raise EngineError(f"{self._name} is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, answer))
        if len(self._waiting) == 1:
            # At the end of the loop's turn, so that all that is submitted in it is spread as one.
            # Where others wait already, a dispatch is due, or comes when a thread is free.
            loop.call_soon(self._dispatch)
        return await answer

    async def close(self) -> None:
        """Let the running batches end; what still waits fails with `EngineError`."""
        self._closed = True
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(EngineError(f"{self._name} was closed"))
        if self._running:
            await asyncio.wait(self._running)
        self._pool.shutdown(wait=False)

    def _dispatch(self) -> None:
        """Hand what waits to the free threads."""
        loop = asyncio.get_running_loop()
        while self._waiting and (free := self._workers - len(self._running)) > 0:
            fair = math.ceil(len(self._waiting) / free)
            batch = self._take(min(fair, self._max_batch))
            if not batch:
                continue
            running = loop.run_in_executor(self._pool, self._answer, [item for item, _ in batch])
            self._running.add(running)
            running.add_done_callback(partial(self._settle, [answer for _, answer in batch]))

    def _take(self, count: int) -> list[tuple[T, asyncio.Future[R]]]:
        """The next items, at most `count`; those whose caller was cancelled are dropped."""
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < count:
            item, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((item, answer))
        return batch

    def _settle(
        self, answers: list[asyncio.Future[R]], done: asyncio.Future[list[R | BaseException]]
    ) -> None:
        """Answer the callers of a batch that ended, and go on with what waits."""
        self._running.discard(done)
        failure = EngineError("cancelled") if done.cancelled() else done.exception()
        results = [failure] * len(answers) if failure else done.result()
        for answer, result in zip(answers, results, strict=True):
            if answer.done():  # its caller was cancelled
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)
        self._dispatch()

    def _answer(self, items: list[T]) -> list[R | BaseException]:
        """A result or an exception for each item. Runs in a worker thread."""
        try:
            results = self._run(items)
            if len(results) != len(items):
                raise EngineError(f"{self._name}: {len(results)} results for {len(items)} items")
            return list(results)
        except Exception as error:
            if len(items) > 1:
                return [self._answer([item])[0] for item in items]
            if isinstance(error, StopIteration):  # a future cannot carry one
                return [RuntimeError(repr(error))]
            return [error]
