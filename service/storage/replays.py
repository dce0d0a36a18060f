"""Replays, and the events that they send once more."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import DeliveryState, Event, EventType, Replay
from service.storage.pauses import make_due
from service.storage.tables import deliveries, events, replays, subscriptions


def insert_replay(tx: sa.Connection, replay: Replay) -> None:
    tx.execute(replays.insert().values(**_values(replay)))


def update_replay(tx: sa.Connection, replay: Replay) -> None:
    tx.execute(replays.update().where(replays.c.id == replay.id).values(**_values(replay)))


def find_replay(tx: sa.Connection, replay_id: uuid.UUID) -> Replay | None:
    """With its figures as they are now."""
    row = tx.execute(sa.select(replays).where(replays.c.id == replay_id)).mappings().first()
    return _count(tx, Replay(**row)) if row else None


def find_open(tx: sa.Connection, subscription_id: uuid.UUID) -> Replay | None:
    """The one that hasn't finished; there is at most one."""
    query = sa.select(replays).where(replays.c.subscription_id == subscription_id, replays.c.finished_at.is_(None))
    row = tx.execute(query).mappings().first()
    return _count(tx, Replay(**row)) if row else None


def count_open(tx: sa.Connection, subscription_id: uuid.UUID) -> int:
    """How many of the subscription's partner haven't finished."""
    partner = sa.select(subscriptions.c.partner).where(subscriptions.c.id == subscription_id).scalar_subquery()
    query = sa.select(sa.func.count()).select_from(replays.join(subscriptions)).where(
        replays.c.finished_at.is_(None), subscriptions.c.partner == partner
    )
    return tx.execute(query).scalar_one()


def has_open(tx: sa.Connection) -> bool:
    return tx.execute(sa.select(sa.exists().where(replays.c.finished_at.is_(None)))).scalar_one()


def list_open(tx: sa.Connection) -> list[Replay]:
    """Those that haven't finished, oldest first, with their figures."""
    query = sa.select(replays).where(replays.c.finished_at.is_(None)).order_by(replays.c.id)
    return [_count(tx, Replay(**row)) for row in tx.execute(query).mappings().all()]


def lock_unplanned(tx: sa.Connection, replay_id: uuid.UUID) -> Replay | None:
    """If it is still to be planned; nobody else plans it until the transaction ends."""
    query = sa.select(replays).where(replays.c.id == replay_id, replays.c.planned_at.is_(None))
    row = tx.execute(query.with_for_update()).mappings().first()
    return Replay(**row) if row else None


def list_events(tx: sa.Connection, replay: Replay, *, limit: int) -> list[Event]:
    """The next of those that it sends, oldest first: planned for everybody already."""
    query = sa.select(events).where(
        events.c.created_at >= replay.since, events.c.planned_at.is_not(None), events.c.published_at.is_not(None),
        events.c.set_aside_at.is_(None), events.c.release_id.is_not(None),
    )
    if replay.after_at and replay.after_id:
        after = (sa.literal(replay.after_at, events.c.created_at.type), sa.literal(replay.after_id, sa.Uuid))
        query = query.where(sa.tuple_(events.c.created_at, events.c.id) > sa.tuple_(*after))
    return [
        Event(id=row.id, type=EventType(row.type), created_at=row.created_at, release_id=row.release_id,
              revision=row.revision)
        for row in tx.execute(query.order_by(events.c.created_at, events.c.id).limit(limit))
    ]


def send_again(tx: sa.Connection, replay: Replay, event: Event, now: datetime) -> bool:
    """What the subscription was or is owed of the event is due; whether it ever was owed any."""
    own = sa.and_(deliveries.c.event_id == event.id, deliveries.c.subscription_id == replay.subscription_id)
    if not tx.execute(deliveries.update().where(own).values(replay_id=replay.id)).rowcount:
        return False
    make_due(tx, sa.and_(own, deliveries.c.claim_owner.is_(None)), now)
    return True


def _count(tx: sa.Connection, replay: Replay) -> Replay:
    if replay.finished_at:
        return replay
    query = sa.select(deliveries.c.state, sa.func.count()).where(deliveries.c.replay_id == replay.id)
    counts = {row[0]: row[1] for row in tx.execute(query.group_by(deliveries.c.state))}
    return dataclasses.replace(
        replay, total=sum(counts.values()), sent=counts.get(DeliveryState.DELIVERED, 0),
        failed=counts.get(DeliveryState.ABANDONED, 0), superseded=counts.get(DeliveryState.SUPERSEDED, 0),
    )


def _values(replay: Replay) -> dict[str, Any]:
    return {field.name: getattr(replay, field.name) for field in dataclasses.fields(replay)}
