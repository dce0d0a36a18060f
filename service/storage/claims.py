"""Claims on deliveries, the record of every attempt, and what retires a delivery before its time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Attempt, Channel, Claim, DeliveryState, EventType
from service.storage.deliveries import message_id
from service.storage.tables import attempts, deliveries, events, payloads, subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to: the delivery's next state, and when to try again if it is still due."""

    claim: Claim
    attempt: Attempt
    state: DeliveryState
    next_attempt_at: datetime | None


def has_due(tx: sa.Connection, now: datetime) -> bool:
    return tx.execute(sa.select(sa.exists().where(_is_due(now)))).scalar_one()


def claim_due(tx: sa.Connection, owner: str, *, limit: int, now: datetime, until: datetime) -> list[Claim]:
    """Hold up to `limit` due deliveries until `until`, the oldest of each subscription that has none held.

    One at a time for a subscription keeps its order, and its troubles to itself.
    """
    found = tx.execute(_claimable(now, limit)).all()
    if not found:
        return []
    if lost := [row.id for row in found if row.claim_owner]:
        # Their couriers died: what a newer event has overtaken meanwhile is not sent once more.
        _retire_overtaken(tx, lost)
    ids = [row.id for row in found]
    hold = deliveries.update().where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.DUE)
    tx.execute(hold.values(claim_owner=owner, claim_until=until, attempt=deliveries.c.attempt + 1))
    return [_claim(row) for row in tx.execute(_claimed(ids))]


def hold_longer(tx: sa.Connection, owned: Sequence[Claim], until: datetime) -> None:
    """These have more to do than an attempt of the others may last."""
    ids = [claim.delivery_id for claim in owned]
    tx.execute(deliveries.update().where(deliveries.c.id.in_(ids)).values(claim_until=until))


def record_outcomes(tx: sa.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Write down finished attempts; returns those whose claim was lost meanwhile, of which nothing is kept."""
    held = _list_held(tx, [outcome.claim.delivery_id for outcome in outcomes])
    kept = [outcome for outcome in outcomes if _fence(outcome.claim) in held]
    if kept:
        conclusion = deliveries.update().where(deliveries.c.id == sa.bindparam("delivery_id"))
        tx.execute(conclusion, [_conclusion(outcome) for outcome in kept])
        tx.execute(attempts.insert(), [_attempt(outcome) for outcome in kept])
        _retire_overtaken(tx, [outcome.claim.delivery_id for outcome in kept])
    return [outcome for outcome in outcomes if _fence(outcome.claim) not in held]


def abandon_due(tx: sa.Connection, subscription_id: uuid.UUID) -> None:
    """Give up what an ended subscription is still owed."""
    due = deliveries.update().where(
        deliveries.c.subscription_id == subscription_id, deliveries.c.state == DeliveryState.DUE
    )
    tx.execute(due.values(state=DeliveryState.ABANDONED, next_attempt_at=None, claim_owner=None, claim_until=None))


def retire_waiting(tx: sa.Connection, release_id: uuid.UUID) -> None:
    """What still waits of this release gives way to a newer event. What is in flight just now is left to finish."""
    older = sa.select(events.c.id).where(events.c.release_id == release_id)
    waiting = deliveries.update().where(
        deliveries.c.event_id.in_(older), deliveries.c.state == DeliveryState.DUE, deliveries.c.claim_owner.is_(None),
    )
    tx.execute(waiting.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None))


def _retire_overtaken(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> None:
    """A newer event of the same release was planned while these were in flight: they are not tried again.

    Which is newer is told by the release's life, not by the ids, whose clock may have been set back.
    """
    newer, own, other = deliveries.alias("newer"), events.alias("own"), events.alias("other")
    gone = EventType.RELEASE_WITHDRAWN
    overtaken = (
        sa.select(newer.c.id)
        .join(other, other.c.id == newer.c.event_id).join(own, own.c.release_id == other.c.release_id)
        .where(own.c.id == deliveries.c.event_id, newer.c.subscription_id == deliveries.c.subscription_id,
               sa.or_(other.c.revision > own.c.revision, sa.and_(other.c.type == gone, own.c.type != gone)))
        .correlate(deliveries).exists()
    )
    again = deliveries.update().where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.DUE, overtaken)
    tx.execute(again.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        deliveries.c.state == DeliveryState.DUE,
        deliveries.c.next_attempt_at <= now,
        sa.or_(deliveries.c.claim_until.is_(None), deliveries.c.claim_until <= now),
    )


def _claimable(now: datetime, limit: int) -> sa.Select[Any]:
    held = deliveries.alias("held")
    is_held = sa.exists().where(
        held.c.subscription_id == deliveries.c.subscription_id,
        held.c.state == DeliveryState.DUE, held.c.claim_until > now,
    )
    rank = sa.func.row_number().over(partition_by=deliveries.c.subscription_id, order_by=deliveries.c.id)
    ranked = sa.select(deliveries.c.id, rank.label("rank")).where(_is_due(now), ~is_held).subquery()
    first = sa.select(ranked.c.id).where(ranked.c.rank == 1)
    # The conditions stand again outside: a row that another worker took meanwhile no longer meets them.
    query = sa.select(deliveries.c.id, deliveries.c.claim_owner).where(deliveries.c.id.in_(first), _is_due(now))
    return query.order_by(deliveries.c.next_attempt_at).limit(limit).with_for_update(skip_locked=True)


def _claimed(ids: Sequence[uuid.UUID]) -> sa.Select[Any]:
    return (
        sa.select(
            deliveries, subscriptions.c.channel, subscriptions.c.callback, subscriptions.c.secret,
            subscriptions.c.settings, payloads.c.body,
        )
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .join(payloads, payloads.c.id == deliveries.c.payload_id)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.DUE)
        .order_by(deliveries.c.next_attempt_at)
    )


def _claim(row: Any) -> Claim:
    return Claim(
        delivery_id=row.id, subscription_id=row.subscription_id, owner=row.claim_owner, attempt=row.attempt,
        message_id=message_id(row.id), channel=Channel(row.channel), callback=row.callback, secret=row.secret,
        settings=row.settings, body=row.body, first_due_at=row.created_at,
    )


def _list_held(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> set[tuple[uuid.UUID, str, int]]:
    """The fences of those that are still claimed, which nobody can take until the transaction ends."""
    query = sa.select(deliveries.c.id, deliveries.c.claim_owner, deliveries.c.attempt).where(
        deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.DUE
    )
    # In one order, so that two workers which report on the same rows don't wait for each other.
    return {tuple(row) for row in tx.execute(query.order_by(deliveries.c.id).with_for_update())}


def _fence(claim: Claim) -> tuple[uuid.UUID, str, int]:
    return claim.delivery_id, claim.owner, claim.attempt


def _conclusion(outcome: Outcome) -> dict[str, Any]:
    delivered = outcome.state is DeliveryState.DELIVERED
    return {
        "delivery_id": outcome.claim.delivery_id, "state": outcome.state, "next_attempt_at": outcome.next_attempt_at,
        "delivered_at": outcome.attempt.started_at if delivered else None, "claim_owner": None, "claim_until": None,
    }


def _attempt(outcome: Outcome) -> dict[str, Any]:
    attempt = outcome.attempt
    return {
        "delivery_id": outcome.claim.delivery_id, "number": attempt.number, "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms, "status": attempt.status, "error": attempt.error,
    }
