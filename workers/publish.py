"""What is accepted, or scheduled and due, into the feeds, and what partners are owed into rows."""

from __future__ import annotations

import logging

from service import queue
from service.clock import utc_now
from service.deliveries import plan_due
from service.hub import plan_feeds
from service.publishing import publish_due
from service.releases import publish_scheduled
from service.replays import plan_replays
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
    while publish_scheduled(context.storage(), utc_now()):
        pass
    published = publish_due(context.storage(), context.profile(), utc_now)
    if published.count:
        log.info("%s events went public", published.count)
    if published.wait_seconds:
        # Two swaps never share a second; the wait is far below the broker's visibility timeout.
        publish.apply_async(countdown=published.wait_seconds)
    owed = plan_due(context.storage(), context.profile(), utc_now)
    owed += plan_replays(context.storage(), context.profile(), utc_now)
    if owed + plan_feeds(context.storage(), utc_now):
        context.queue().deliver()
