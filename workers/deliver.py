"""Wakes the courier of this worker process, which sends what is due."""

from __future__ import annotations

import gc
import resource
import threading
from typing import Any

from celery.signals import worker_shutdown

from service import queue
from service.retries import MOST_IN_FLIGHT
from workers import context
from workers.app import app
from workers.courier import Courier
from workers.outbound import Outbound

# Files and kept connections beside what is in flight.
_FILES_BESIDE = 512

_courier: Courier | None = None
_starting = threading.Lock()


@app.task(name=queue.DELIVER)
def deliver() -> None:
    """Wake this process's courier."""
    global _courier
    with _starting:
        if _courier is None:
            outbound = Outbound(context.settings().allowed_networks, mail=context.settings().mail)
            _courier = Courier(context.storage(), outbound, context.owner(), most=_make_room(MOST_IN_FLIGHT))
            _courier.start()
            # What is loaded by now stays; to look through all of it for garbage took a third of a fan-out's time.
            gc.freeze()
            gc.set_threshold(20_000, 20, 100)
    _courier.nudge()


@worker_shutdown.connect
def finish(**_: Any) -> None:
    """Nothing that is in flight is lost by a warm stop."""
    if _courier is not None:
        _courier.stop()


def _make_room(most: int) -> int:
    """How many sockets of so many this process may hold, beside files and connections of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES_BESIDE
    if 0 <= soft < wanted:
        soft = wanted if hard < 0 else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft < 0 else min(most, max(soft - _FILES_BESIDE, 1))
