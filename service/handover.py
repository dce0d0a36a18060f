"""Fewer changes of threads, each of which takes longer than an answer from memory.

granian brings each request in a thread of its own and hands it over to the event loop as a coroutine, by
`call_soon_threadsafe`. Here the coroutine first runs where it is, as asyncio's eager tasks do within one thread; the
loop gets only those that have paused.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import Context
from functools import partial
from types import CoroutineType, coroutine
from typing import Any

# What a pause hands over: how the request goes on, once there is a value for it.
GoOn = Callable[[Any], object]


def begin_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, what is handed over to the loop runs at once, up to `reach_loop`."""
    enqueue = loop.call_soon_threadsafe

    def begin(call: Callable[..., object], *arguments: Any, context: Context | None = None) -> asyncio.Handle | None:
        later = partial(enqueue, call, *arguments, context=context)
        if arguments and isinstance(arguments[0], CoroutineType):
            _run(arguments[0], later)
            return None
        return later()

    loop.call_soon_threadsafe = begin  # type: ignore[method-assign, assignment]


def _run(request: CoroutineType[Any, Any, Any], later: Callable[[], object], value: object = None) -> None:
    try:
        take = request.send(value)
    except StopIteration:
        return
    if take is None:
        later()
    else:
        take(partial(_run, request, later))


async def reach_loop() -> None:
    """A pause, after which the caller is in the loop's thread, wherever it was."""
    await asyncio.sleep(0)


async def wait_for(take: Callable[[GoOn], object]) -> Any:
    """The value that a thread goes on with to which ``take`` gives this; what hasn't reached the loop goes on there."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return await _pause(take)
    told = loop.create_future()
    take(lambda value: loop.call_soon_threadsafe(_tell, told, value))
    return await told


@coroutine
def _pause(take: Callable[[GoOn], object]) -> Generator[Callable[[GoOn], object], Any, Any]:
    return (yield take)


def _tell(told: asyncio.Future[Any], value: object) -> None:
    # Who waited may have given up.
    if not told.done():
        told.set_result(value)


def work_in_turns() -> None:
    """From now on, no thread that this one starts cuts off the one that wakes it (sched(7), SCHED_BATCH).

    Else every single request that is handed over costs two changes of threads; so, those that wait share them.
    """
    if hasattr(os, "SCHED_BATCH"):
        # Where a container may not choose, it is only slower.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
