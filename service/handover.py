"""Fewer changes of threads, each of which takes longer than an answer from memory.

granian brings each request in a thread of its own and hands it over to the event loop as a coroutine, by
`call_soon_threadsafe`. Here the coroutine first runs where it is, as asyncio's eager tasks do within one thread; the
loop gets only those that have paused.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from types import CoroutineType
from typing import Any


def begin_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, what is handed over to the loop runs at once, up to `reach_loop`."""
    enqueue = loop.call_soon_threadsafe

    def begin(call: Callable[..., object], *arguments: Any, context: Context | None = None) -> asyncio.Handle | None:
        if arguments and isinstance(arguments[0], CoroutineType) and _ends_at_once(arguments[0]):
            return None
        return enqueue(call, *arguments, context=context)

    loop.call_soon_threadsafe = begin  # type: ignore[method-assign]


async def reach_loop() -> None:
    """A pause, after which the caller is in the loop's thread, wherever it was."""
    await asyncio.sleep(0)


def work_in_turns() -> None:
    """From now on, no thread that this one starts cuts off the one that wakes it (sched(7), SCHED_BATCH).

    Else every single request that is handed over costs two changes of threads; so, those that wait share them.
    """
    if hasattr(os, "SCHED_BATCH"):
        # Where a container may not choose, it is only slower.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _ends_at_once(request: CoroutineType[Any, Any, Any]) -> bool:
    try:
        request.send(None)
    except StopIteration:
        return True
    return False
