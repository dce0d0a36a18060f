"""Deliveries of releases that were given up: told to their owners, and kept in the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from service.clock import new_id
from service.model import Attempt, AuditEntry, EventType, NoticeType
from service.retries import GONE, TELL_AGAIN_AFTER
from service.storage.audit import insert_entry
from service.storage.pauses import is_overtaken
from service.storage.sets import among
from service.storage.tables import deliveries, events, notices


def note_abandoned(tx: sa.Connection, failures: Mapping[uuid.UUID, Attempt]) -> None:
    """After the last try of each delivery that is named. Its owner is mailed of the first in a day, and of withdrawals.

    What something newer of its release has overtaken misses nothing; whoever answered 410 wanted nothing more.
    """
    lost = {id: attempt for id, attempt in failures.items() if attempt.status != GONE}
    if not lost:
        return
    query = sa.select(
        deliveries.c.id, deliveries.c.subscription_id, events.c.type, events.c.release_id, events.c.revision
    ).join(events, events.c.id == deliveries.c.event_id)
    # Without a release it is a feed, whose next state comes anyhow, or a test, whose owner looks at it.
    query = query.where(among(deliveries.c.id, lost), events.c.release_id.is_not(None), ~is_overtaken())
    for row in tx.execute(query.order_by(deliveries.c.id)).all():
        _note(tx, row, lost[row.id])


def _note(tx: sa.Connection, row: Any, attempt: Attempt) -> None:
    at = attempt.ended_at
    is_told = row.type == EventType.RELEASE_WITHDRAWN or not _was_told(tx, row.subscription_id, attempt)
    tx.execute(notices.insert().values(
        id=new_id(), type=NoticeType.ABANDONED, subscription_id=row.subscription_id, delivery_id=row.id, created_at=at,
        status=attempt.status, error=attempt.error, next_attempt_at=at if is_told else None,
    ))
    details = {
        "subscription_id": str(row.subscription_id), "delivery_id": str(row.id), "event": row.type,
        "tries": attempt.number, "status": attempt.status, "error": attempt.error,
    }
    insert_entry(tx, AuditEntry(
        id=new_id(), at=at, action=NoticeType.ABANDONED.value, release_id=row.release_id, revision=row.revision,
        actor="diglot", details=details,
    ))


def _was_told(tx: sa.Connection, subscription_id: uuid.UUID, attempt: Attempt) -> bool:
    """Or is to be, of another one in the day before; what lies ahead was noted before a clock was set back."""
    is_recent = notices.c.created_at.between(attempt.ended_at - TELL_AGAIN_AFTER, attempt.ended_at)
    query = sa.select(sa.exists().where(
        notices.c.subscription_id == subscription_id, notices.c.type == NoticeType.ABANDONED, is_recent,
        sa.or_(notices.c.sent_at.is_not(None), notices.c.next_attempt_at.is_not(None)),
    ))
    return tx.execute(query).scalar_one()
