"""What is accepted, or scheduled and due, into the feeds, and what partners are owed into rows."""

from __future__ import annotations

import logging
import math

from service import queue
from service.clock import utc_now
from service.deliveries import plan_parts
from service.hub import plan_feeds
from service.publishing import publish_due
from service.releases import publish_scheduled
from service.replays import plan_replays
from service.retries import FIRST_ROOM
from workers import context
from workers.app import app
from workers.turn import Turn

log = logging.getLogger(__name__)


# Two at once in a process would draw the same feeds, and one of them in vain.
_turn = Turn()


@app.task(name=queue.PUBLISH)
def publish() -> None:
    """Make public what is accepted or due, then plan the deliveries of what is public.

    Where another thread is at it already, that one goes round once more.
    """
    _turn.take(_publish)


def _publish() -> None:
    wait_seconds = _bring_out()
    for _ in plan_replays(context.storage(), context.profile(), utc_now):
        context.queue().deliver()
        # News doesn't wait for what one partner wants sent once more.
        wait_seconds = _bring_out()
    if wait_seconds:
        # Two swaps never share a second; the wait is far below the broker's visibility timeout.
        publish.apply_async(countdown=wait_seconds)
    _call_couriers(plan_feeds(context.storage(), utc_now))


def _bring_out() -> float:
    """What is accepted or due, to readers and into the plans; returns after how many seconds there is more to do."""
    wait_seconds = _make_public()
    for count in plan_parts(context.storage(), context.profile(), utc_now):
        _call_couriers(count)
        # What is accepted meanwhile doesn't wait until all partners of another release are planned.
        wait_seconds = _make_public()
    return wait_seconds


def _call_couriers(owed: int) -> None:
    """As many as this keeps busy: of several workers each has one."""
    if owed:
        context.queue().deliver(couriers=math.ceil(owed / FIRST_ROOM))


def _make_public() -> float:
    while publish_scheduled(context.storage(), utc_now()):
        pass
    published = publish_due(context.storage(), context.profile(), utc_now)
    if published.count:
        log.info("%s events went public", published.count)
    return published.wait_seconds
