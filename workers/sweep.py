"""Finds whatever is due though its nudge was lost, and shows that beat, broker and worker are alive."""

from __future__ import annotations

from datetime import datetime, timedelta

from service import queue
from service.clock import utc_now
from service.hub import end_expired
from service.retention import clear_exchanges
from service.storage import events, heartbeats, lines, notices, releases, replays, websub
from workers import context
from workers.app import SWEEP_SECONDS, app
from workers.publish import publish

HEARTBEAT = "worker"


@app.task(name=queue.SWEEP)
def sweep() -> None:
    """Nudge again where events wait for the feeds or for planning, or deliveries are due and unclaimed.

    What lasts a certain time ends here.
    """
    now = utc_now()
    with context.storage().write() as tx:
        heartbeats.keep_heartbeat(tx, HEARTBEAT, now)
        lines.wake_misdated(tx, now)
    with context.storage().read() as tx:
        open_events = (
            events.list_unpublished(tx, limit=1) or events.find_unplanned(tx)
            or events.list_unplanned_feeds(tx, limit=1)
        )
        unasked = websub.has_due(tx, now)
        untold = context.settings().mail is not None and notices.has_due(tx, now)
        open_replays = replays.has_open(tx)
        due = lines.is_any_due(tx, now)
        publish_at = releases.find_next_publish_at(tx)
    if open_events or open_replays:
        context.queue().publish()
    if publish_at:
        _nudge_at(publish_at, now)
    if due:
        context.queue().deliver()
    if unasked:
        context.queue().verify()
    if untold:
        context.queue().notify()
    end_expired(context.storage(), now)
    clear_exchanges(context.storage(), now)


def _nudge_at(publish_at: datetime, now: datetime) -> None:
    """To the second: what is due before the next sweep is nudged for its very time."""
    if publish_at <= now + timedelta(seconds=SWEEP_SECONDS):
        publish.apply_async(countdown=max((publish_at - now).total_seconds(), 0))
