"""What is overtaken by a newer event of its release, and was in flight or not yet come to when that was planned."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Collection

import sqlalchemy as sa

from service.model import DeliveryState, EventType
from service.storage.pauses import is_overtaken
from service.storage.sets import among
from service.storage.tables import deliveries, events
from service.storage.websub import retire_older_states

# Made once, as a courier asks this all the time.
_OVERTAKING = sa.select(events.c.release_id).where(
    events.c.planned_at.is_(None), events.c.published_at.is_not(None),
    events.c.type.in_((EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN)),
)


def retire_overtaken(tx: sa.Connection, ids: Collection[uuid.UUID]) -> None:
    """Of these, which are about to be sent: readers see something newer already, and it is on its way to them."""
    release_ids = tx.execute(_OVERTAKING).scalars().all() if ids else ()
    if release_ids:
        about = sa.select(events.c.id).where(events.c.release_id.in_(release_ids))
        _retire(tx, ids, deliveries.c.event_id.in_(about), is_overtaken())


def retire_followed(tx: sa.Connection, ids: Collection[uuid.UUID]) -> None:
    """Of these, which are or were to be tried again: their subscriptions are owed something newer of the release.

    Which is newer is told by the release's life, not by the ids, whose clock may have been set back.
    """
    if ids:
        _retire(tx, ids, _is_followed())


def retire_returned(tx: sa.Connection, ids: Collection[uuid.UUID]) -> None:
    """Of these, which come back from a try: something newer was planned meanwhile, so they are not tried again."""
    retire_followed(tx, ids)
    retire_older_states(tx, ids)


@functools.cache
def _is_followed() -> sa.ColumnElement[bool]:
    newer, own, other = deliveries.alias("newer"), events.alias("own"), events.alias("other")
    gone = EventType.RELEASE_WITHDRAWN
    return (
        sa.select(newer.c.id)
        .join(other, other.c.id == newer.c.event_id).join(own, own.c.release_id == other.c.release_id)
        .where(own.c.id == deliveries.c.event_id, newer.c.subscription_id == deliveries.c.subscription_id,
               sa.or_(other.c.revision > own.c.revision, sa.and_(other.c.type == gone, own.c.type != gone)))
        .correlate(deliveries).exists()
    )


def _retire(tx: sa.Connection, ids: Collection[uuid.UUID], *where: sa.ColumnElement[bool]) -> None:
    # What the planning holds just now it retires itself; to wait for it might be to wait for each other.
    query = sa.select(deliveries.c.id).where(
        among(deliveries.c.id, ids), deliveries.c.state == DeliveryState.DUE, *where
    ).with_for_update(skip_locked=True)
    if overtaken := tx.execute(query).scalars().all():
        change = deliveries.update().where(among(deliveries.c.id, overtaken))
        tx.execute(change.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None, lane=None))
