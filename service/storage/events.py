"""What happened and is owed: first to the feeds, then to the partners."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Event, EventType
from service.storage.tables import deliveries, events

_NIL = uuid.UUID(int=0)


def insert_event(
    tx: sa.Connection, event: Event, *, published_at: datetime | None = None, is_planned: bool = True
) -> None:
    """`published_at` is given for an event that no feed has to carry first; whom it is owed to may be planned later."""
    tx.execute(events.insert().values(
        id=event.id, type=event.type, release_id=event.release_id, revision=event.revision,
        created_at=event.created_at, published_at=published_at, planned_at=published_at if is_planned else None,
    ))


def list_unpublished(tx: sa.Connection, *, limit: int) -> list[Event]:
    """Accepted but not yet in the feeds, oldest first."""
    return _list(tx, events.c.published_at.is_(None), limit)


def list_unpublished_of(tx: sa.Connection, release_ids: Iterable[uuid.UUID]) -> list[Event]:
    """All that is accepted of these releases but not yet in the feeds, oldest first."""
    where = sa.and_(events.c.published_at.is_(None), events.c.release_id.in_(list(release_ids)))
    return _list(tx, where, None)


def find_unplanned(tx: sa.Connection, but: Collection[uuid.UUID] = ()) -> Event | None:
    """Public, but somebody's turn is still to come: a withdrawal, or else the oldest."""
    of_releases = events.c.type != EventType.FEED_CHANGED
    where = sa.and_(events.c.published_at.is_not(None), of_releases, *(events.c.id != each for each in but))
    return next(iter(_list(tx, where, 1, events.c.type != EventType.RELEASE_WITHDRAWN)), None)


def list_unplanned_feeds(tx: sa.Connection, *, limit: int) -> list[Event]:
    """Changes of feeds whose subscribers are not all owed them yet, oldest first."""
    return _list(tx, events.c.type == EventType.FEED_CHANGED, limit)


def lock_place(tx: sa.Connection, event_id: uuid.UUID) -> uuid.UUID | None:
    """What `find_place` finds; nobody else plans the event until the transaction ends."""
    return tx.execute(_place(event_id).with_for_update()).scalar()


def mark_published(tx: sa.Connection, shown: Iterable[Event], now: datetime) -> None:
    """Readers see these, each as what it has come to and at the revision that it names."""
    for event in shown:
        change = events.update().where(events.c.id == event.id)
        tx.execute(change.values(
            published_at=now, type=event.type, revision=event.revision, after_revision=event.after_revision,
        ))


def drop(tx: sa.Connection, event_ids: Iterable[uuid.UUID], now: datetime) -> None:
    """These came to nothing: a later event of the same release says all."""
    tx.execute(events.update().where(events.c.id.in_(list(event_ids))).values(published_at=now, planned_at=now))


def lock_public(tx: sa.Connection, release_id: uuid.UUID) -> None:
    """Of one release's public events nobody else plans any until the transaction ends."""
    query = sa.select(events.c.id).where(events.c.release_id == release_id, events.c.published_at.is_not(None))
    tx.execute(query.order_by(events.c.id).with_for_update()).all()


def find_place(tx: sa.Connection, event_id: uuid.UUID) -> uuid.UUID | None:
    """The last subscription whose turn has come, or the nil id before the first; None once all have had theirs."""
    return tx.execute(_place(event_id)).scalar()


def _place(event_id: uuid.UUID) -> sa.Select[uuid.UUID]:
    place = sa.func.coalesce(events.c.planned_to, sa.literal(_NIL, sa.Uuid))
    return sa.select(place).where(events.c.id == event_id, events.c.planned_at.is_(None))


def mark_planned_to(tx: sa.Connection, event_id: uuid.UUID, subscription_id: uuid.UUID) -> None:
    """The turn of this one, and of all before it, has come."""
    tx.execute(events.update().where(events.c.id == event_id).values(planned_to=subscription_id))


def mark_planned(tx: sa.Connection, event_id: uuid.UUID, now: datetime) -> None:
    """Everybody's turn has come."""
    tx.execute(events.update().where(events.c.id == event_id).values(planned_at=now))


def set_aside(tx: sa.Connection, event_ids: Iterable[uuid.UUID], now: datetime) -> None:
    """These will never be published as they are."""
    tx.execute(events.update().where(events.c.id.in_(list(event_ids))).values(set_aside_at=now, planned_at=now))


def _list(
    tx: sa.Connection, where: sa.ColumnElement[bool], limit: int | None, *first: sa.ColumnElement[Any]
) -> list[Event]:
    query = (
        sa.select(events).where(where, events.c.planned_at.is_(None))
        .order_by(*first, events.c.created_at, events.c.id).limit(limit)
    )
    return [_event(row) for row in tx.execute(query)]


def _event(row: Any) -> Event:
    return Event(
        id=row.id, type=EventType(row.type), created_at=row.created_at,
        release_id=row.release_id, revision=row.revision, after_revision=row.after_revision,
    )


def list_tests(tx: sa.Connection, host: str, since: datetime, until: datetime) -> Sequence[datetime]:
    """When tests of callbacks on this host were asked for, oldest first; both ends are among them."""
    query = sa.select(events.c.created_at).join(deliveries, deliveries.c.event_id == events.c.id).where(
        events.c.type == EventType.SUBSCRIPTION_TEST, events.c.planned_at.is_not(None),
        events.c.created_at.between(since, until), deliveries.c.host == host,
    )
    return tx.execute(query.order_by(events.c.created_at)).scalars().all()
