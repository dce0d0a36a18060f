"""Many subscriptions and deliveries, written as rows, for tests of what is claimed among them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.clock import new_id
from service.model import EventType, Lane, Secret, SubscriptionState
from service.storage import Storage
from service.storage.tables import deliveries, events, payloads, subscriptions

Row = dict[str, Any]


def load_subscriptions(
    storage: Storage, now: datetime, count: int, host: Callable[[int], str] = "h{}.example:443".format
) -> list[uuid.UUID]:
    rows = [
        {"id": new_id(), "partner": f"P{number}", "channel": "webhook", "callback": "https://x.example/",
         "languages": ["en"], "categories": [], "secret": Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
         "state": SubscriptionState.ACTIVE, "created_at": now, "host": host(number)}
        for number in range(count)
    ]
    with storage.write() as tx:
        tx.execute(subscriptions.insert(), rows)
    return [row["id"] for row in rows]


def load_deliveries(
    storage: Storage, now: datetime, owed_to: list[uuid.UUID], type: EventType = EventType.SUBSCRIPTION_TEST,
    **values: Any,
) -> list[uuid.UUID]:
    """One event, due to all of these; by default as first tries that stand in line."""
    event_id, payload_id = new_id(), new_id()
    lane = Lane.WITHDRAWAL if type is EventType.RELEASE_WITHDRAWN else Lane.FIRST
    common = {
        "event_id": event_id, "payload_id": payload_id, "state": "due", "created_at": now, "next_attempt_at": now,
        "attempt": 0, "lane": lane,
    }
    with storage.write() as tx:
        tx.execute(events.insert().values(id=event_id, type=type, created_at=now, planned_at=now))
        tx.execute(payloads.insert().values(id=payload_id, event_id=event_id, variant="", body=b"{}"))
        hosts = dict(tx.execute(sa.select(subscriptions.c.id, subscriptions.c.host)).all())
        rows = [
            {**common, "id": new_id(), "subscription_id": id, "host": hosts[id], **values} for id in owed_to
        ]
        tx.execute(deliveries.insert(), rows)
    return [row["id"] for row in rows]
