"""WebSub: what subscribers are said to want, who they are, and what they are owed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.model import (
    NO_SECRET,
    DeliveryState,
    Event,
    Intent,
    IntentMode,
    IntentState,
    Subscription,
    SubscriptionState,
)
from service.storage.sets import among
from service.storage.subscriptions import find_subscription, list_by_ids
from service.storage.tables import deliveries, documents, intents, subscriptions

# No intent is put off, and none is claimed, for so long.
FURTHEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class State:
    """A topic as its readers find it now."""

    body: bytes
    media_type: str
    link: str | None


_IS_ACTIVE = sa.and_(subscriptions.c.topic.is_not(None), subscriptions.c.state == SubscriptionState.ACTIVE)


def insert_intent(tx: sa.Connection, intent: Intent) -> None:
    """It is due at once; an older one of the same subscriber that still waits gives way."""
    older = intents.update().where(
        intents.c.topic == intent.topic, intents.c.callback == intent.callback,
        intents.c.state == IntentState.DUE, intents.c.claim_owner.is_(None),
    )
    tx.execute(older.values(state=IntentState.SUPERSEDED, next_attempt_at=None, secret=NO_SECRET))
    tx.execute(intents.insert().values(
        id=intent.id, mode=intent.mode, topic=intent.topic, callback=intent.callback, host=intent.host,
        secret=intent.secret, lease_seconds=intent.lease_seconds, reason=intent.reason, attempt=0,
        created_at=intent.created_at, state=IntentState.DUE, next_attempt_at=intent.created_at,
    ))


def count_waiting(tx: sa.Connection, *, host: str | None = None) -> int:
    """Intents that are not settled yet, of one host or of all."""
    query = sa.select(sa.func.count()).select_from(intents).where(intents.c.state == IntentState.DUE)
    return tx.execute(query.where(intents.c.host == host) if host else query).scalar_one()


def list_moments(
    tx: sa.Connection, intent: Intent, since: datetime, now: datetime, *, alone: bool = False
) -> Sequence[datetime]:
    """When callbacks on this one's host were to be asked, or this subscriber alone; oldest first. Denials are ours.

    What lies ahead of `now` was before a clock was set back.
    """
    query = sa.select(intents.c.created_at).where(
        intents.c.host == intent.host, intents.c.created_at > since, intents.c.created_at <= now,
        intents.c.mode != IntentMode.DENIED,
    )
    if alone:
        query = query.where(intents.c.topic == intent.topic, intents.c.callback == intent.callback)
    return tx.execute(query.order_by(intents.c.created_at)).scalars().all()


def count_subscriptions(tx: sa.Connection, partner: str) -> int:
    query = sa.select(sa.func.count()).select_from(subscriptions).where(subscriptions.c.partner == partner)
    return tx.execute(query.where(_IS_ACTIVE)).scalar_one()


def has_due(tx: sa.Connection, now: datetime) -> bool:
    return tx.execute(sa.select(sa.exists().where(_is_due(now)))).scalar_one()


def claim_intents(tx: sa.Connection, owner: str, *, limit: int, now: datetime, until: datetime) -> list[Intent]:
    """Hold up to `limit` due intents until `until`, the oldest of each host that is not being asked just now."""
    held = intents.alias("held")
    is_asked = sa.exists().where(
        held.c.host == intents.c.host, held.c.state == IntentState.DUE,
        held.c.claim_until > now, held.c.claim_until <= now + FURTHEST,
    )
    rank = sa.func.row_number().over(partition_by=intents.c.host, order_by=intents.c.id)
    ranked = sa.select(intents.c.id, rank.label("rank")).where(_is_due(now), ~is_asked).subquery()
    first = sa.select(ranked.c.id).where(ranked.c.rank == 1)
    # The condition stands again outside: a row that another worker took meanwhile no longer meets it.
    query = sa.select(intents.c.id).where(intents.c.id.in_(first), _is_due(now))
    # Whoever was never asked comes before those who weren't there.
    query = query.order_by(intents.c.attempt, intents.c.next_attempt_at).limit(limit)
    query = query.with_for_update(skip_locked=True)
    ids = tx.execute(query).scalars().all()
    hold = intents.update().where(intents.c.id.in_(ids))
    tx.execute(hold.values(claim_owner=owner, claim_until=until, attempt=intents.c.attempt + 1))
    return [_intent(row) for row in tx.execute(sa.select(intents).where(intents.c.id.in_(ids)))]


def conclude_intent(
    tx: sa.Connection, intent: Intent, state: IntentState, next_attempt_at: datetime | None
) -> bool:
    """Whether the claim still held; the secret of one that is settled goes."""
    change = intents.update().where(
        intents.c.id == intent.id, intents.c.state == IntentState.DUE,
        intents.c.claim_owner == intent.owner, intents.c.attempt == intent.attempt,
    )
    values = {"state": state, "next_attempt_at": next_attempt_at, "claim_owner": None, "claim_until": None}
    kept = {} if state is IntentState.DUE else {"secret": NO_SECRET}
    return tx.execute(change.values(**values, **kept)).rowcount == 1


def is_overtaken(tx: sa.Connection, intent: Intent, now: datetime) -> bool:
    """Whether the same subscriber has confirmed something newer already.

    What lies ahead of `now` is older: a clock has been set back since.
    """
    newer = sa.exists().where(
        intents.c.topic == intent.topic, intents.c.callback == intent.callback, intents.c.id > intent.id,
        intents.c.state == IntentState.VERIFIED, intents.c.created_at <= now,
    )
    return tx.execute(sa.select(newer)).scalar_one()


def has_settled(tx: sa.Connection, before: datetime) -> bool:
    """Whether there are any to forget."""
    query = sa.exists().where(intents.c.created_at < before, intents.c.state != IntentState.DUE)
    return tx.execute(sa.select(query)).scalar_one()


def forget_intents(tx: sa.Connection, before: datetime) -> None:
    """Settled ones that are older."""
    tx.execute(intents.delete().where(intents.c.created_at < before, intents.c.state != IntentState.DUE))


def find_subscriber(tx: sa.Connection, topic: str, callback: str) -> Subscription | None:
    """Who gets this topic here now; nobody else changes it until the transaction ends."""
    where = (_IS_ACTIVE, subscriptions.c.topic == topic, subscriptions.c.callback == callback)
    found = tx.execute(sa.select(subscriptions.c.id).where(*where).with_for_update()).scalar_one_or_none()
    return find_subscription(tx, found) if found else None


def list_subscribers(tx: sa.Connection, topics: Iterable[str]) -> list[Subscription]:
    query = sa.select(subscriptions.c.id).where(_IS_ACTIVE, subscriptions.c.topic.in_(list(topics)))
    return list_by_ids(tx, tx.execute(query).scalars().all())


def has_subscribers(tx: sa.Connection, topics: Iterable[str]) -> bool:
    query = sa.exists().where(_IS_ACTIVE, subscriptions.c.topic.in_(list(topics)))
    return tx.execute(sa.select(query)).scalar_one()


def list_expired(tx: sa.Connection, now: datetime, *, limit: int) -> list[Subscription]:
    query = sa.select(subscriptions.c.id).where(_IS_ACTIVE, subscriptions.c.lease_until <= now)
    return list_by_ids(tx, tx.execute(query.order_by(subscriptions.c.lease_until).limit(limit)).scalars().all())


def list_owed(
    tx: sa.Connection, event: Event, now: datetime, *, after: uuid.UUID, limit: int
) -> dict[uuid.UUID, str]:
    """Subscriptions to what the event changed, behind one of them, that have no delivery of it yet, with their hosts.

    A swap's second is that of no other swap, so a document that a later one changed again is owed for that one alone.
    """
    has_it = sa.exists().where(
        deliveries.c.event_id == event.id, deliveries.c.subscription_id == subscriptions.c.id
    )
    query = (
        sa.select(subscriptions.c.id, subscriptions.c.host)
        .join(documents, documents.c.path == subscriptions.c.topic)
        .where(_IS_ACTIVE, subscriptions.c.lease_until > now, documents.c.last_modified == event.created_at, ~has_it,
               subscriptions.c.id > after)
    )
    return {row.id: row.host for row in tx.execute(query.order_by(subscriptions.c.id).limit(limit))}


def read_states(tx: sa.Connection, topics: Iterable[str]) -> dict[str, State]:
    """Each once, however many subscribers are sent it."""
    query = sa.select(documents.c.path, documents.c.body, documents.c.media_type, documents.c.link)
    rows = tx.execute(query.where(documents.c.path.in_(list(topics)))).all() if topics else ()
    return {row.path: State(row.body, row.media_type, row.link) for row in rows}


def retire_waiting(tx: sa.Connection, subscription_ids: Collection[uuid.UUID]) -> None:
    """What still waits for these gives way to a newer state of their topic; what is in flight is left to finish."""
    waiting = deliveries.update().where(
        among(deliveries.c.subscription_id, subscription_ids), deliveries.c.state == DeliveryState.DUE,
        deliveries.c.claim_owner.is_(None),
    )
    tx.execute(waiting.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None, lane=None))


def retire_older_states(tx: sa.Connection, delivery_ids: Collection[uuid.UUID]) -> None:
    """Of these, what came back from a try while a newer state of the topic was planned is not tried again.

    Should a clock that was set back hide which is newer, the newest state is sent twice, and never an older one.
    """
    is_left = (
        deliveries.c.id.in_(delivery_ids), deliveries.c.state == DeliveryState.DUE, deliveries.c.payload_id.is_(None)
    )
    left = tx.execute(sa.select(deliveries.c.id).where(*is_left)).scalars().all()
    if not left:
        return
    newer = deliveries.alias("newer")
    overtaken = sa.exists().where(
        newer.c.subscription_id == deliveries.c.subscription_id, newer.c.id > deliveries.c.id
    ).correlate(deliveries)
    again = deliveries.update().where(deliveries.c.id.in_(left), overtaken)
    tx.execute(again.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None, lane=None))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    """Those whose time has come, and those that were put off or claimed before a clock was set back."""
    is_free = sa.or_(
        intents.c.claim_until.is_(None), intents.c.claim_until <= now, intents.c.claim_until > now + FURTHEST
    )
    at = intents.c.next_attempt_at
    return sa.and_(intents.c.state == IntentState.DUE, sa.or_(at <= now, at > now + FURTHEST), is_free)


def _intent(row: Any) -> Intent:
    return Intent(
        id=row.id, mode=IntentMode(row.mode), topic=row.topic, callback=row.callback, host=row.host,
        secret=row.secret, lease_seconds=row.lease_seconds, reason=row.reason, created_at=row.created_at,
        attempt=row.attempt, owner=row.claim_owner,
    )
