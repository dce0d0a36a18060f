"""What owners are to be told of, each by one worker at a time."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import STANDING, DeliveryState, Notice, NoticeType, Subscription, SubscriptionState
from service.retries import LONGEST_WAIT, TELL_WITHIN
from service.storage.sets import among
from service.storage.subscriptions import list_by_ids
from service.storage.tables import deliveries, events, notices, subscriptions


def has_due(tx: sa.Connection, now: datetime) -> bool:
    return tx.execute(sa.select(sa.exists().where(_is_due(now)))).scalar_one()


def claim_due(tx: sa.Connection, *, limit: int, now: datetime, until: datetime) -> list[Notice]:
    """Hold up to `limit` until `until`, the longest due first. What was mended or deleted meanwhile is told nobody."""
    query = sa.select(notices.c.id).where(_is_due(now)).order_by(notices.c.next_attempt_at).limit(limit)
    ids = tx.execute(query.with_for_update(skip_locked=True)).scalars().all()
    hold = notices.update().where(among(notices.c.id, ids))
    tx.execute(hold.values(next_attempt_at=until, attempt=notices.c.attempt + 1))
    return _list(tx, among(notices.c.id, ids))


def list_notices(
    tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None, partner: str | None = None
) -> list[Notice]:
    """Newest first; `partner` narrows to one organisation."""
    query = sa.select(notices.c.id).order_by(notices.c.id.desc()).limit(limit)
    if before:
        query = query.where(notices.c.id < before)
    if partner:
        own = sa.select(subscriptions.c.id).where(subscriptions.c.partner == partner)
        query = query.where(notices.c.subscription_id.in_(own))
    return _list(tx, among(notices.c.id, tx.execute(query).scalars().all()))


def conclude(tx: sa.Connection, notice: Notice, sent_at: datetime | None, next_attempt_at: datetime | None) -> bool:
    """Told, to be tried again, or given up where both are None. Returns whether the claim still held."""
    change = notices.update().where(notices.c.id == notice.id, notices.c.attempt == notice.attempt)
    return tx.execute(change.values(sent_at=sent_at, next_attempt_at=next_attempt_at)).rowcount == 1


def _list(tx: sa.Connection, where: sa.ColumnElement[bool]) -> list[Notice]:
    query = (
        sa.select(notices, events.c.type.label("event"), events.c.release_id)
        .outerjoin(deliveries, deliveries.c.id == notices.c.delivery_id)
        .outerjoin(events, events.c.id == deliveries.c.event_id).where(where).order_by(notices.c.id.desc())
    )
    rows = tx.execute(query).all()
    owners = {found.id: found for found in list_by_ids(tx, [row.subscription_id for row in rows])}
    return [_notice(row, owners[row.subscription_id]) for row in rows]


def _notice(row: Any, subscription: Subscription) -> Notice:
    return Notice(
        id=row.id, type=NoticeType(row.type), subscription=subscription, created_at=row.created_at,
        attempt=row.attempt, status=row.status, error=row.error, sent_at=row.sent_at, delivery_id=row.delivery_id,
        event=row.event, release_id=row.release_id,
    )


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    own = subscriptions.c.id == notices.c.subscription_id
    is_paused = sa.exists().where(own, subscriptions.c.state == SubscriptionState.PAUSED)
    is_ended = sa.exists().where(own, subscriptions.c.state == SubscriptionState.ENDED)
    is_abandoned = sa.exists().where(
        own, subscriptions.c.state.in_(STANDING), deliveries.c.id == notices.c.delivery_id,
        deliveries.c.state == DeliveryState.ABANDONED,
    )
    stands = sa.or_(
        sa.and_(notices.c.type == NoticeType.PAUSED, is_paused), sa.and_(notices.c.type == NoticeType.ENDED, is_ended),
        is_abandoned,
    )
    due_at = notices.c.next_attempt_at
    # What lies that far ahead was put off before a clock was set back.
    is_time = sa.or_(sa.and_(due_at > now - TELL_WITHIN, due_at <= now), due_at > now + LONGEST_WAIT)
    return sa.and_(is_time, stands)
