"""Standing orders of partners."""

from __future__ import annotations

import dataclasses
import functools
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import (
    STANDING,
    Channel,
    Format,
    LanguageChoice,
    Order,
    Standing,
    Subscription,
    SubscriptionState,
)
from service.networks import host_of
from service.retries import LONGEST_WAIT
from service.storage.sets import Gathered
from service.storage.tables import subscriptions


def insert_subscription(tx: sa.Connection, subscription: Subscription) -> None:
    tx.execute(subscriptions.insert().values(**_values(subscription)))


def update_subscription(tx: sa.Connection, subscription: Subscription) -> None:
    tx.execute(subscriptions.update().where(subscriptions.c.id == subscription.id).values(**_values(subscription)))


def find_subscription(tx: sa.Connection, subscription_id: uuid.UUID) -> Subscription | None:
    """One that is not deleted; it may have ended."""
    row = tx.execute(_find(subscription_id)).first()
    return _subscription(row) if row else None


def lock_subscription(tx: sa.Connection, subscription_id: uuid.UUID) -> Subscription | None:
    """The same, which nobody else changes until the transaction ends."""
    row = tx.execute(_find(subscription_id).with_for_update()).first()
    return _subscription(row) if row else None


def find_steady(tx: sa.Connection, subscription_id: uuid.UUID) -> Subscription | None:
    """One as `find_subscription` finds it, neither changed nor resumed until the transaction ends.

    Couriers may note meanwhile how it does.
    """
    row = tx.execute(_find(subscription_id).with_for_update(read=True, key_share=True)).first()
    return _subscription(row) if row else None


def _find(subscription_id: uuid.UUID) -> sa.Select[Any]:
    is_kept = subscriptions.c.state != SubscriptionState.DELETED
    return sa.select(subscriptions).where(subscriptions.c.id == subscription_id, is_kept)


def list_subscriptions(
    tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None, partner: str | None = None
) -> list[Subscription]:
    """Newest first, without the deleted; `partner` narrows to one organisation."""
    query = (
        sa.select(subscriptions).where(subscriptions.c.state != SubscriptionState.DELETED)
        .order_by(subscriptions.c.id.desc()).limit(limit)
    )
    if before:
        query = query.where(subscriptions.c.id < before)
    if partner:
        query = query.where(subscriptions.c.partner == partner)
    return [_subscription(row) for row in tx.execute(query)]


def list_by_ids(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> list[Subscription]:
    """These, newest first, the deleted among them."""
    query = sa.select(subscriptions).where(subscriptions.c.id.in_(ids)).order_by(subscriptions.c.id.desc())
    return [_subscription(row) for row in tx.execute(query)]


def list_standing(tx: sa.Connection, *, after: uuid.UUID, limit: int) -> list[Standing]:
    """The next of those, active or paused, that are owed events of releases, oldest first.

    None of them changes until the transaction ends: one that is resumed meanwhile would miss what is kept for it.
    """
    rows = _STANDING.execute(tx, {"after": after, "limit": limit})
    read = functools.cache(_read_order)
    return [Standing(id, host, state == SubscriptionState.PAUSED, read(*order)) for id, host, state, *order in rows]


def _make_standing() -> sa.Select[Any]:
    columns = subscriptions.c
    # As text, of which there are few, and not read as JSON again and again.
    lists = (sa.cast(columns[name], sa.Text).label(name) for name in ("languages", "categories"))
    query = sa.select(columns.id, columns.host, columns.state, *lists, columns.format, columns.language_choice)
    is_standing = (columns.state.in_(STANDING), columns.topic.is_(None), columns.id > sa.bindparam("after"))
    query = query.where(*is_standing).order_by(columns.id).limit(sa.bindparam("limit"))
    return query.with_for_update(read=True, key_share=True)


_STANDING = Gathered(_make_standing())


def _read_order(languages: str, categories: str, format: str, language_choice: str) -> Order:
    return Order(
        tuple(json.loads(languages)), tuple(json.loads(categories)), Format(format), LanguageChoice(language_choice)
    )


def hold(tx: sa.Connection, subscription_id: uuid.UUID, callback: str, until: datetime) -> None:
    """Its receiver wants nothing before then, if this still is its callback."""
    held = subscriptions.c.held_until
    # What lies that far ahead was asked for before a clock was set back.
    later = sa.or_(held.is_(None), held < until, held > until + LONGEST_WAIT)
    is_it = sa.and_(subscriptions.c.id == subscription_id, subscriptions.c.callback == callback)
    tx.execute(subscriptions.update().where(is_it, later).values(held_until=until))


def end_hold(tx: sa.Connection, subscription_id: uuid.UUID) -> None:
    """Another receiver has asked for nothing yet."""
    tx.execute(subscriptions.update().where(subscriptions.c.id == subscription_id).values(held_until=None))


def _values(subscription: Subscription) -> dict[str, Any]:
    values = {field.name: getattr(subscription, field.name) for field in dataclasses.fields(subscription)}
    lists = {"languages": list(subscription.languages), "categories": list(subscription.categories)}
    return values | lists | {"settings": dict(subscription.settings), "host": host_of(subscription.callback)}


def _subscription(row: Any) -> Subscription:
    return Subscription(
        id=row.id, partner=row.partner, channel=Channel(row.channel), callback=row.callback,
        languages=tuple(row.languages), categories=tuple(row.categories), secret=row.secret,
        settings=row.settings,
        state=SubscriptionState(row.state), ended_reason=row.ended_reason, created_at=row.created_at,
        topic=row.topic, lease_until=row.lease_until,
        format=Format(row.format), language_choice=LanguageChoice(row.language_choice), public_key=row.public_key,
        former_secrets=row.former_secrets, overlap_ends_at=row.overlap_ends_at,
        failing_since=row.failing_since, paused_at=row.paused_at,
    )
