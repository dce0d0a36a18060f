"""Deliveries, the claims on them, and the record of every attempt."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Attempt, Claim, Delivery, DeliveryState, Event, EventType
from service.storage.tables import attempts, deliveries, events, payloads, subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to: the delivery's next state, and when to try again if it is still due."""

    claim: Claim
    attempt: Attempt
    state: DeliveryState
    next_attempt_at: datetime | None


def message_id(delivery_id: uuid.UUID) -> str:
    """Standard Webhooks 1.0.0, `webhook-id`: the same over all attempts."""
    return f"msg_{delivery_id.hex}"


def insert_payload(tx: sa.Connection, payload_id: uuid.UUID, event_id: uuid.UUID, variant: str, body: bytes) -> None:
    tx.execute(payloads.insert().values(id=payload_id, event_id=event_id, variant=variant, body=body))


def insert_deliveries(tx: sa.Connection, event: Event, rows: Iterable[Mapping[str, Any]], now: datetime) -> None:
    """Each row names its `id`, `subscription_id` and `payload_id`; all are due at once."""
    common = {"event_id": event.id, "state": DeliveryState.DUE, "created_at": now, "next_attempt_at": now, "attempt": 0}
    values = [{**common, **row} for row in rows]
    if values:
        tx.execute(deliveries.insert(), values)


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


def list_told(tx: sa.Connection, release_id: uuid.UUID) -> set[uuid.UUID]:
    """Subscriptions that were sent any revision of the release, as far as anybody can know: one try is enough."""
    query = sa.select(deliveries.c.subscription_id).distinct().join(events, events.c.id == deliveries.c.event_id)
    return set(tx.execute(query.where(events.c.release_id == release_id, deliveries.c.attempt > 0)).scalars())


def find_delivery(tx: sa.Connection, delivery_id: uuid.UUID) -> Delivery | None:
    return next(iter(_list(tx, deliveries.c.id == delivery_id, limit=1, before=None)), None)


def list_for_release(
    tx: sa.Connection, release_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[Delivery]:
    """Newest first, with every attempt."""
    return _list(tx, events.c.release_id == release_id, limit=limit, before=before)


def list_for_subscription(
    tx: sa.Connection, subscription_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[Delivery]:
    """Newest first, with every attempt."""
    return _list(tx, deliveries.c.subscription_id == subscription_id, limit=limit, before=before)


def list_receivers(
    tx: sa.Connection, release_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[uuid.UUID]:
    """Subscriptions that are or were owed anything of the release, newest first."""
    query = sa.select(deliveries.c.subscription_id).distinct().join(events, events.c.id == deliveries.c.event_id)
    query = query.where(events.c.release_id == release_id).order_by(deliveries.c.subscription_id.desc()).limit(limit)
    return list(tx.execute(query.where(deliveries.c.subscription_id < before) if before else query).scalars())


def list_for_receivers(
    tx: sa.Connection, release_id: uuid.UUID, subscription_ids: Sequence[uuid.UUID]
) -> list[Delivery]:
    """All that these subscriptions are or were owed of the release, newest first."""
    # By value: through a join, SQLite would look up a lone partner's whole history.
    about = tx.execute(sa.select(events.c.id).where(events.c.release_id == release_id)).scalars().all()
    where = sa.and_(deliveries.c.event_id.in_(about), deliveries.c.subscription_id.in_(subscription_ids))
    return _list(tx, where, limit=None, before=None)


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
        sa.select(deliveries, subscriptions.c.callback, subscriptions.c.secret, payloads.c.body)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .join(payloads, payloads.c.id == deliveries.c.payload_id)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.DUE)
        .order_by(deliveries.c.next_attempt_at)
    )


def _claim(row: Any) -> Claim:
    return Claim(
        delivery_id=row.id, subscription_id=row.subscription_id, owner=row.claim_owner, attempt=row.attempt,
        message_id=message_id(row.id), callback=row.callback, secret=row.secret, body=row.body,
        first_due_at=row.created_at,
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


def _list(
    tx: sa.Connection, where: sa.ColumnElement[bool], *, limit: int | None, before: uuid.UUID | None
) -> list[Delivery]:
    query = (
        sa.select(
            deliveries, events.c.type, events.c.release_id, events.c.revision, subscriptions.c.partner,
            payloads.c.variant,
        )
        .join(events, events.c.id == deliveries.c.event_id)
        .join(payloads, payloads.c.id == deliveries.c.payload_id)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .where(where).order_by(deliveries.c.id.desc()).limit(limit)
    )
    rows = tx.execute(query.where(deliveries.c.id < before) if before else query).all()
    tried = _attempts(tx, [row.id for row in rows])
    return [_delivery(row, tried.get(row.id, ())) for row in rows]


def _attempts(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[Attempt, ...]]:
    query = sa.select(attempts).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.number)
    tried: dict[uuid.UUID, tuple[Attempt, ...]] = {}
    for row in tx.execute(query):
        attempt = Attempt(
            number=row.number, started_at=row.started_at, duration_ms=row.duration_ms,
            status=row.status, error=row.error,
        )
        tried[row.delivery_id] = (*tried.get(row.delivery_id, ()), attempt)
    return tried


def _delivery(row: Any, tried: tuple[Attempt, ...]) -> Delivery:
    return Delivery(
        id=row.id, event_id=row.event_id, event_type=EventType(row.type), subscription_id=row.subscription_id,
        partner=row.partner, state=DeliveryState(row.state), created_at=row.created_at, release_id=row.release_id,
        revision=row.revision, next_attempt_at=row.next_attempt_at, delivered_at=row.delivered_at,
        languages=tuple(filter(None, row.variant.split(","))), attempts=tried,
    )
