"""Pauses that owners are to be told of, each by one worker at a time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.model import Notice, SubscriptionState
from service.retries import LONGEST_WAIT, TELL_WITHIN
from service.storage.sets import among
from service.storage.subscriptions import list_by_ids
from service.storage.tables import notices, subscriptions


def has_due(tx: sa.Connection, now: datetime) -> bool:
    return tx.execute(sa.select(sa.exists().where(_is_due(now)))).scalar_one()


def claim_due(tx: sa.Connection, *, limit: int, now: datetime, until: datetime) -> list[Notice]:
    """Hold up to `limit` until `until`, the longest due first. What was resumed or ended meanwhile is told nobody."""
    query = sa.select(notices.c.id).where(_is_due(now)).order_by(notices.c.next_attempt_at).limit(limit)
    ids = tx.execute(query.with_for_update(skip_locked=True)).scalars().all()
    hold = notices.update().where(among(notices.c.id, ids))
    tx.execute(hold.values(next_attempt_at=until, attempt=notices.c.attempt + 1))
    rows = tx.execute(sa.select(notices).where(among(notices.c.id, ids))).all()
    paused = {found.id: found for found in list_by_ids(tx, [row.subscription_id for row in rows])}
    return [
        Notice(
            id=row.id, subscription=paused[row.subscription_id], created_at=row.created_at, status=row.status,
            error=row.error, attempt=row.attempt,
        )
        for row in rows
    ]


def conclude(tx: sa.Connection, notice: Notice, sent_at: datetime | None, next_attempt_at: datetime | None) -> bool:
    """Told, to be tried again, or given up where both are None. Returns whether the claim still held."""
    change = notices.update().where(notices.c.id == notice.id, notices.c.attempt == notice.attempt)
    return tx.execute(change.values(sent_at=sent_at, next_attempt_at=next_attempt_at)).rowcount == 1


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    is_paused = sa.exists().where(
        subscriptions.c.id == notices.c.subscription_id, subscriptions.c.state == SubscriptionState.PAUSED
    )
    due_at = notices.c.next_attempt_at
    # What lies that far ahead was put off before a clock was set back.
    is_time = sa.or_(sa.and_(due_at > now - TELL_WITHIN, due_at <= now), due_at > now + LONGEST_WAIT)
    return sa.and_(is_time, is_paused)
