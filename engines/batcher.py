"""Dynamic batching: forms batches across whatever is in flight, without waiting for any."""

from __future__ import annotations

import asyncio
import bisect
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Generic, Protocol, TypeVar

from engines.errors import EngineError

T = TypeVar("T")
R = TypeVar("R")


class Observer(Protocol):
    """Is told what a batcher does; from any thread."""

    def queue(self, rows: Callable[[], int]) -> None:
        """`rows()` are waiting or in `run`."""

    def waited(self, seconds: float) -> None:
        """The items of a batch waited for so long, all together."""

    def ran(self, rows: int, seconds: float) -> None:
        """`run` took so long for a batch."""


class Batcher(Generic[T, R]):
    """Puts items that are submitted one by one through `run` in batches, first come first served.

    As soon as a worker is free it takes what waits: a quiet stream pays no delay, a busy one fills
    its batches by itself. What waits is spread over all the workers that are free. While all are
    busy, up to `ahead` full batches are handed on already, so that a device goes from one batch to
    the next without waiting for us; one that is not full yet has the time until then to fill.

    `run` is called in threads of the batcher's own, by `workers + ahead` at once. Where it raises
    for a batch, each item of the batch is tried alone, so that a bad one fails alone.

    Args:
        run: a batch in, as many results out, in order.
        max_batch: items in one batch, at the most.
        workers: batches that can really run at the same time: cores, or one for a GPU.
        ahead: full batches that wait in `run` for the device to be free. For a GPU one or two; on a
            CPU they would only take the cores from those that run.
        buckets: the batch sizes that `run` has been built for, the largest of them `max_batch`. It
            pads what lies between to the next one; here the size is chosen so that little is
            padded. None: every size is as good.
        max_wait: seconds that a batch which is not full waits for more while a worker is free. It
            buys no throughput; it spares a device that others share the work of small batches.
        max_waiting: items that wait at the most, before `submit` itself has to wait.
        name: names the threads.
        pool: what runs `run`, instead of threads of its own.
        observer: is told what happens.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        *,
        max_batch: int,
        workers: int,
        name: str,
        ahead: int = 0,
        buckets: Sequence[int] | None = None,
        max_wait: float = 0.0,
        max_waiting: int | None = None,
        pool: Executor | None = None,
        observer: Observer | None = None,
    ) -> None:
        if max_batch < 1 or workers < 1 or ahead < 0:
            raise ValueError("max_batch and workers must be at least 1, ahead at least 0")
        if buckets is not None and (min(buckets) < 1 or max(buckets) != max_batch):
            raise ValueError(f"buckets {list(buckets)} must be positive and end at {max_batch}")
        self._run = run
        self._max_batch = max_batch
        self._workers = workers
        self._ahead = ahead
        self._buckets = sorted(buckets) if buckets is not None else None
        self._max_wait = max_wait
        self._name = name
        self._pool = pool or ThreadPoolExecutor(workers + ahead, thread_name_prefix=name)
        self._waiting: deque[tuple[T, asyncio.Future[R], float]] = deque()
        # Twice what can be in `run`: enough for the next batches to stand ready, and no more.
        self._room = asyncio.Semaphore(max_waiting or 2 * max_batch * (workers + ahead))
        self._running: set[asyncio.Future[list[R | BaseException]]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._in_run = 0
        self._observer = observer
        if observer is not None:
            observer.queue(lambda: len(self._waiting) + self._in_run)

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return len(self._waiting)

    async def submit(self, item: T) -> R:
        """The result of `item`.

        Raises:
            EngineError: the batcher is closed.
            Exception: what `run` raised for this item.
        """
        await self._room.acquire()
        if self._closed:
            self._room.release()  # whoever waits behind us is told too
            raise EngineError(f"{self._name} is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, answer, loop.time()))
        if len(self._waiting) == 1:
            # At the end of the loop's turn, so that all that is submitted in it is spread as one.
            # Where others wait already, a dispatch is due, or comes when a worker is free.
            loop.call_soon(self._dispatch)
        elif len(self._waiting) == self._max_batch:
            loop.call_soon(self._dispatch)  # a full one, for which there may be room ahead
        return await answer

    async def close(self) -> None:
        """Let the running batches end; what still waits fails with `EngineError`."""
        self._closed = True
        while self._waiting:
            _, answer, _ = self._pop()
            if not answer.done():
                answer.set_exception(EngineError(f"{self._name} was closed"))
        if self._running:
            await asyncio.wait(self._running)
        self._pool.shutdown(wait=False)

    def _dispatch(self) -> None:
        """Hand on what waits, as far as there is somebody for it."""
        self._set_timer(None)
        loop = asyncio.get_running_loop()
        while count := self._next_size(loop.time()):
            batch = self._take(count)
            if not batch:
                continue
            self._in_run += len(batch)
            running = loop.run_in_executor(self._pool, self._answer, [item for item, _ in batch])
            self._running.add(running)
            running.add_done_callback(partial(self._settle, [answer for _, answer in batch]))

    def _next_size(self, now: float) -> int:
        """Items of the next batch; 0 where none is to start now."""
        waiting = len(self._waiting)
        free = self._workers - len(self._running)
        if not waiting or free <= -self._ahead:
            return 0
        if waiting >= self._max_batch * max(free, 1):
            return self._max_batch
        if free <= 0:
            return 0
        if not self._max_wait:
            return self._fitting(min(math.ceil(waiting / free), self._max_batch))
        due = self._waiting[0][2] + self._max_wait
        if waiting < self._max_batch and now < due:
            self._set_timer(due)
            return 0
        return self._fitting(min(waiting, self._max_batch))

    def _fitting(self, count: int) -> int:
        """At most `count`: fewer where that leaves over less than would be padded."""
        if self._buckets is None:
            return count
        place = bisect.bisect_left(self._buckets, count)
        padded = self._buckets[place] - count
        if place and padded > count - self._buckets[place - 1]:
            return self._buckets[place - 1]
        return count

    def _set_timer(self, due: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due, self._dispatch)

    def _take(self, count: int) -> list[tuple[T, asyncio.Future[R]]]:
        """The next items, at most `count`; those whose caller was cancelled are dropped."""
        batch: list[tuple[T, asyncio.Future[R]]] = []
        now, waited = asyncio.get_running_loop().time(), 0.0
        while self._waiting and len(batch) < count:
            item, answer, since = self._pop()
            if not answer.done():
                batch.append((item, answer))
                waited += now - since
        if self._observer is not None:
            self._observer.waited(waited)
        return batch

    def _pop(self) -> tuple[T, asyncio.Future[R], float]:
        self._room.release()
        return self._waiting.popleft()

    def _settle(
        self, answers: list[asyncio.Future[R]], done: asyncio.Future[list[R | BaseException]]
    ) -> None:
        """Answer the callers of a batch that ended, and go on with what waits."""
        self._running.discard(done)
        self._in_run -= len(answers)
        self._dispatch()  # before the answers: a worker is free
        failure = EngineError("cancelled") if done.cancelled() else done.exception()
        results = [failure] * len(answers) if failure else done.result()
        for answer, result in zip(answers, results, strict=True):
            if answer.done():  # its caller was cancelled
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)

    def _answer(self, items: list[T]) -> list[R | BaseException]:
        """A result or an exception for each item. Runs in a worker thread."""
        started = time.monotonic()
        try:
            results = self._run(items)
            if self._observer is not None:
                self._observer.ran(len(items), time.monotonic() - started)
            if len(results) != len(items):
                raise EngineError(f"{self._name}: {len(results)} results for {len(items)} items")
            return list(results)
        except Exception as error:
            if len(items) > 1:
                return [self._answer([item])[0] for item in items]
            if isinstance(error, StopIteration):  # a future cannot carry one
                return [RuntimeError(repr(error))]
            return [error]
