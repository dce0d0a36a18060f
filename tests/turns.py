"""A small application that tells in which threads it runs: `granian --interface asginl tests.turns:app`."""

from __future__ import annotations

import asyncio
import os
from threading import Thread, current_thread
from typing import Any

from service.handover import GoOn, begin_at_once, reach_loop, wait_for, work_in_turns


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Each part of the path is a thing to do, and the answer says before and after each where that was."""
    said = [_place()]
    for step in scope["path"].split("/")[1:]:
        if step == "reach-loop":
            await reach_loop()
        if step == "ask":
            said.append(await wait_for(_ask))
        if step == "read":
            said.append((await receive())["body"].decode())
        if step == "fail":
            raise ValueError(step)
        said.append(_place())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(said).encode()})


def _ask(go_on: GoOn) -> None:
    Thread(target=go_on, args=("told",), name="asked").start()


def _place() -> str:
    """`loop` only where asyncio works, and whether the thread works in turns."""
    policy = "batch" if os.sched_getscheduler(0) == os.SCHED_BATCH else "other"
    try:
        return f"loop/{policy}" if asyncio.current_task() else "?"
    except RuntimeError:
        return f"{'asked' if current_thread().name == 'asked' else 'bringer'}/{policy}"


begin_at_once(asyncio.get_event_loop())
work_in_turns()
