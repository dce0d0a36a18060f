"""What is overtaken by an event of its release whose planning is still under way, and has not come to it yet."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import sqlalchemy as sa

from service.model import DeliveryState, EventType
from service.storage.pauses import is_overtaken
from service.storage.sets import among
from service.storage.tables import deliveries, events

_OVERTAKING = (EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN)


def retire_overtaken(tx: sa.Connection, ids: Collection[uuid.UUID]) -> None:
    """Of these, which are about to be sent: readers see something newer already, and it is on its way to them."""
    query = sa.select(events.c.release_id).where(
        events.c.planned_at.is_(None), events.c.published_at.is_not(None), events.c.type.in_(_OVERTAKING)
    )
    release_ids = tx.execute(query).scalars().all() if ids else ()
    if release_ids:
        about = sa.select(events.c.id).where(events.c.release_id.in_(release_ids))
        # What the planning holds just now it retires itself; to wait for it might be to wait for each other.
        query = sa.select(deliveries.c.id).where(
            among(deliveries.c.id, ids), deliveries.c.event_id.in_(about), is_overtaken()
        ).with_for_update(skip_locked=True)
        if overtaken := tx.execute(query).scalars().all():
            change = deliveries.update().where(among(deliveries.c.id, overtaken))
            tx.execute(change.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None, lane=None))
