from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from consumers.consumer_thread import ConsumerThread


@pytest.fixture
def thread() -> Iterator[ConsumerThread]:
    made = ConsumerThread()
    yield made
    made.close()


async def test_all_is_called_in_one_thread(thread: ConsumerThread) -> None:
    names = {await thread.run(threading.get_ident), await thread.call(threading.get_ident)}
    assert len(names) == 1 and threading.get_ident() not in names


async def test_a_call_is_made_inside_the_callback_that_waits_for_it(thread: ConsumerThread) -> None:
    """A rebalance commits, and the commit needs the consumer that is calling back."""
    loop = asyncio.get_running_loop()

    async def handler() -> None:
        assert await thread.call(threading.get_ident) == caller

    def poll() -> str:
        nonlocal caller
        caller = threading.get_ident()
        thread.serve(asyncio.run_coroutine_threadsafe(handler(), loop), 5)
        return "polled"

    caller = 0
    started = time.monotonic()
    assert await thread.run(poll) == "polled"
    assert time.monotonic() - started < 2


async def test_a_call_handed_over_during_a_poll_is_made_in_its_callback(
    thread: ConsumerThread,
) -> None:
    """The commit began before the callback, and the callback waits for that commit."""
    loop = asyncio.get_running_loop()
    polling = threading.Event()
    committed: asyncio.Future[None] = loop.create_future()

    async def handler() -> None:
        await committed

    def poll() -> None:
        polling.set()
        time.sleep(0.2)
        thread.serve(asyncio.run_coroutine_threadsafe(handler(), loop), 5)

    running = asyncio.create_task(thread.run(poll))
    await asyncio.to_thread(polling.wait)
    await thread.call(lambda: None)
    committed.set_result(None)
    await running


async def test_what_the_handler_and_the_call_raise_comes_back(thread: ConsumerThread) -> None:
    loop = asyncio.get_running_loop()

    async def failing() -> None:
        raise ValueError("in the handler")

    def poll() -> None:
        thread.serve(asyncio.run_coroutine_threadsafe(failing(), loop), 5)

    with pytest.raises(ValueError, match="in the handler"):
        await thread.run(poll)
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)


async def test_a_handler_that_does_not_end_is_given_up(thread: ConsumerThread) -> None:
    loop = asyncio.get_running_loop()
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(30), loop)
    with pytest.raises(TimeoutError):
        await thread.run(lambda: thread.serve(future, 0.2))
    future.cancel()


async def test_a_process_that_was_stopped_gives_up_no_handler_for_that(
    thread: ConsumerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped for an hour in the middle of a rebalance, it had no time to handle it yet."""
    handled: Future[None] = Future()
    threading.Timer(0.4, handled.set_result, [None]).start()
    serving = asyncio.create_task(thread.run(lambda: thread.serve(handled, 5)))
    await asyncio.sleep(0.1)
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)
    await serving
