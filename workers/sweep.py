"""Finds whatever is due though its nudge was lost, and shows that beat, broker and worker are alive."""

from __future__ import annotations

from service import queue
from service.clock import utc_now
from service.storage import deliveries, events, heartbeats
from workers import context
from workers.app import app

HEARTBEAT = "worker"


@app.task(name=queue.SWEEP)
def sweep() -> None:
    """Nudge again where events wait for the feeds or for planning, or deliveries are due and unclaimed."""
    now = utc_now()
    with context.storage().write() as tx:
        heartbeats.keep_heartbeat(tx, HEARTBEAT, now)
    with context.storage().read() as tx:
        open_events = events.list_unpublished(tx, limit=1) or events.list_unplanned(tx, limit=1)
        due = deliveries.has_due(tx, now)
    if open_events:
        context.queue().publish()
    if due:
        context.queue().deliver()
