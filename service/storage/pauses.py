"""Subscriptions whose receiver has failed for days: nothing is sent to them, and what they are owed is kept."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.clock import new_id
from service.model import Attempt, AuditEntry, Claim, DeliveryState, EventType, NoticeType, SubscriptionState
from service.retries import Failing, count_failure
from service.storage.audit import insert_entry
from service.storage.sets import Rows, among
from service.storage.tables import Instant, deliveries, events, notices, subscriptions

OWN_HOST = sa.select(subscriptions.c.host).where(subscriptions.c.id == deliveries.c.subscription_id).scalar_subquery()
# Neither in line nor waiting for any time.
_is_kept = sa.and_(
    deliveries.c.state == DeliveryState.DUE, deliveries.c.lane.is_(None), deliveries.c.claim_owner.is_(None),
    deliveries.c.next_attempt_at.is_(None),
)


def note_well(tx: sa.Connection, claims: Iterable[Claim]) -> None:
    """Their receivers work again."""
    ids = [claim.subscription_id for claim in claims]
    if ids:
        tx.execute(subscriptions.update().where(among(subscriptions.c.id, ids)).values(failing_since=None))


def note_failures(tx: sa.Connection, failed: Sequence[tuple[Claim, Attempt]]) -> dict[uuid.UUID, Failing]:
    """Count them. Returns how their receivers have been failing, without those that were changed meanwhile.

    What failed while its subscription was ended is not tried again; while it got another callback, it goes there.
    """
    rows = {row.id: row for row in tx.execute(_FAILING, {"ids": [claim.subscription_id for claim, _ in failed]})}
    _follow(tx, [claim for claim, _ in failed], rows)
    found, changed = {}, []
    for claim, attempt in failed:
        row = rows[claim.subscription_id]
        if (row.callback, row.failing_since) == (claim.callback, claim.failing_since):
            before = _failing(row)
            found[row.id] = after = count_failure(before, attempt.ended_at)
            if after != before:
                changed.append({"own_id": row.id, "since": after.since, "count": after.count, "at": after.counted_at})
    if changed:
        _COUNT.execute(tx, changed)
    return found


def _follow(tx: sa.Connection, failed: Sequence[Claim], rows: Mapping[uuid.UUID, Any]) -> None:
    if silent := [row.id for row in rows.values() if row.state != SubscriptionState.ACTIVE]:
        keep(tx, silent)
    if moved := [claim.delivery_id for claim in failed if rows[claim.subscription_id].callback != claim.callback]:
        tx.execute(deliveries.update().where(among(deliveries.c.id, moved)).values(host=OWN_HOST))


def _failing(row: Any) -> Failing | None:
    since = row.failing_since
    # Without a time it failed before failures were counted.
    return Failing(since, row.failures_counted, row.failure_counted_at or since) if since else None


# One order for all who do so; nobody changes them until the transaction ends.
_FAILING = sa.select(
    subscriptions.c.id, subscriptions.c.state, subscriptions.c.callback, subscriptions.c.failing_since,
    subscriptions.c.failures_counted, subscriptions.c.failure_counted_at,
).where(among(subscriptions.c.id, "ids")).order_by(subscriptions.c.id).with_for_update(key_share=True)
_COUNT = Rows(
    {"own_id": subscriptions.c.id.type, "since": Instant(), "count": sa.SmallInteger(), "at": Instant()},
    lambda row: subscriptions.update().where(subscriptions.c.id == row["own_id"]).values(
        failing_since=row["since"], failures_counted=row["count"], failure_counted_at=row["at"],
    ),
)


def pause(tx: sa.Connection, claim: Claim, failure: Attempt) -> None:
    """Send nothing more after this, unless it was changed since; its owner is to be told."""
    at = failure.ended_at
    is_same = sa.and_(
        subscriptions.c.state == SubscriptionState.ACTIVE, subscriptions.c.failing_since == claim.failing_since
    )
    change = subscriptions.update().where(subscriptions.c.id == claim.subscription_id, is_same)
    if tx.execute(change.values(state=SubscriptionState.PAUSED, paused_at=at)).rowcount:
        keep(tx, [claim.subscription_id])
        tell(tx, claim.subscription_id, NoticeType.PAUSED, at, failure.status, failure.error)


def tell(
    tx: sa.Connection, subscription_id: uuid.UUID, type: NoticeType, at: datetime, status: int | None,
    error: str | None = None,
) -> None:
    """By e-mail; without a mail server it stands among the notices. And in the audit log."""
    why = {"status": status, "error": error}
    _note(tx, subscription_id, type, at, next_attempt_at=at, **why)
    insert_entry(tx, AuditEntry(
        id=new_id(), at=at, action=type.value, release_id=None, revision=None, actor="diglot",
        details={"subscription_id": str(subscription_id), **why},
    ))


def note_resumed(tx: sa.Connection, subscription_id: uuid.UUID, at: datetime) -> None:
    """For the record alone: whoever resumed it knows."""
    _note(tx, subscription_id, NoticeType.RESUMED, at)


def _note(tx: sa.Connection, subscription_id: uuid.UUID, type: NoticeType, at: datetime, **values: Any) -> None:
    row = {"id": new_id(), "type": type, "subscription_id": subscription_id, "created_at": at}
    tx.execute(notices.insert().values(**row, **values))


def keep(tx: sa.Connection, subscription_ids: Collection[uuid.UUID]) -> None:
    """What these are owed leaves the line: kept for a paused one, given up for one that has ended."""
    state = sa.select(subscriptions.c.state).where(subscriptions.c.id == deliveries.c.subscription_id)
    is_paused = state.scalar_subquery() == SubscriptionState.PAUSED
    change = deliveries.update().where(
        among(deliveries.c.subscription_id, subscription_ids), deliveries.c.state == DeliveryState.DUE,
        deliveries.c.claim_owner.is_(None),
    )
    kept = sa.case((is_paused, DeliveryState.DUE.value), else_=DeliveryState.ABANDONED.value)
    tx.execute(change.values(lane=None, next_attempt_at=None, state=kept))


def release(tx: sa.Connection, subscription_id: uuid.UUID, now: datetime, since: datetime | None) -> None:
    """What was kept is due. With `since`, what is older is given up, and what was given up since then is due too.

    A withdrawal is due however old it is.
    """
    own = deliveries.c.subscription_id == subscription_id
    if since:
        is_withdrawal = sa.exists().where(
            events.c.id == deliveries.c.event_id, events.c.type == EventType.RELEASE_WITHDRAWN
        )
        old = deliveries.update().where(own, _is_kept, deliveries.c.created_at < since, ~is_withdrawal)
        tx.execute(old.values(state=DeliveryState.ABANDONED))
        missed = sa.and_(
            own, deliveries.c.state == DeliveryState.ABANDONED, deliveries.c.created_at >= since, ~is_overtaken()
        )
        make_due(tx, missed, now)
    make_due(tx, sa.and_(own, _is_kept), now)


def make_due(tx: sa.Connection, where: sa.ColumnElement[bool], now: datetime, **values: object) -> None:
    """From the beginning, as if it had never been tried; under the same message id."""
    tx.execute(deliveries.update().where(where).values(
        state=DeliveryState.DUE, next_attempt_at=now, lane=None, tries_before=deliveries.c.attempt, **values
    ))


def is_overtaken() -> sa.ColumnElement[bool]:
    """Whether something newer of the same release is public. Told by the release's life, as the clock may go back."""
    own, other, gone = events.alias("own"), events.alias("other"), EventType.RELEASE_WITHDRAWN
    is_newer = sa.or_(other.c.revision > own.c.revision, sa.and_(other.c.type == gone, own.c.type != gone))
    query = sa.select(other.c.id).join(own, own.c.release_id == other.c.release_id)
    query = query.where(own.c.id == deliveries.c.event_id, other.c.published_at.is_not(None), is_newer)
    return query.correlate(deliveries).exists()
