"""Deliveries and the attempts that were made of them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Attempt, Channel, Delivery, DeliveryState, Event, EventType, Format, Payload, Variant
from service.storage.lines import lane_of
from service.storage.pauses import is_overtaken, make_due
from service.storage.sets import Rows, among
from service.storage.tables import attempts, deliveries, events, payloads, subscriptions

_LAST_ID = uuid.UUID(int=2**128 - 1)
_ATTEMPT = ("number", "started_at", "duration_ms", "status", "error")
_EXCHANGE = ("request_headers", "response_headers", "response_body", "exchange_cleared_at")


def message_id(delivery_id: uuid.UUID) -> str:
    """Standard Webhooks 1.0.0, `webhook-id`: the same over all attempts."""
    return f"msg_{delivery_id.hex}"


def insert_payload(
    tx: sa.Connection, payload_id: uuid.UUID, event_id: uuid.UUID, variant: Variant, payload: Payload
) -> None:
    tx.execute(payloads.insert().values(
        id=payload_id, event_id=event_id, variant=_variant_name(variant), media_type=payload.media_type,
        body=payload.body,
    ))


def _variant_name(variant: Variant) -> str:
    """`en,zh-Hans`, or `ninjs:en`: no language tag has a colon."""
    languages = ",".join(variant.languages)
    return languages if variant.format is Format.DIGLOT else f"{variant.format}:{languages}"


def _read_variant(name: str) -> Variant:
    format, colon, languages = name.rpartition(":")
    return Variant(Format(format) if colon else Format.DIGLOT, tuple(filter(None, languages.split(","))))


def find_payload(tx: sa.Connection, event_id: uuid.UUID, variant: Variant) -> uuid.UUID | None:
    is_it = (payloads.c.event_id == event_id, payloads.c.variant == _variant_name(variant))
    query = sa.select(payloads.c.id).where(*is_it)
    return tx.execute(query).scalar()


def insert_deliveries(
    tx: sa.Connection, event: Event, rows: Sequence[dict[str, Any]], now: datetime, *,
    is_kept: bool = False, replay_id: uuid.UUID | None = None,
) -> None:
    """Each row names its `id`, `subscription_id`, `payload_id` and `host`; all are due at once.

    But what `is_kept`, for paused subscriptions, only once they are resumed.
    """
    place = _KEPT if is_kept else {"lane": lane_of(event.type).value, "next_attempt_at": now}
    if rows:
        _INSERT.execute(
            tx, rows, event_id=event.id, state=DeliveryState.DUE, created_at=now, attempt=0, replay_id=replay_id,
            **place,
        )


# What differs from row to row, and what doesn't.
_ROW = ("id", "subscription_id", "payload_id", "host")
_COMMON = ("event_id", "state", "created_at", "attempt", "replay_id", "lane", "next_attempt_at")
_KEPT = {"lane": None, "next_attempt_at": None}
_INSERT = Rows(
    {name: deliveries.c[name].type for name in _ROW},
    lambda row: deliveries.insert().from_select([*row, *_COMMON], sa.select(
        *row.values(), *(sa.bindparam(name, type_=deliveries.c[name].type) for name in _COMMON)
    )),
)


def move_due(tx: sa.Connection, subscription_id: uuid.UUID, host: str) -> None:
    """What still waits for the subscription goes to another host; what is in flight, once it has failed."""
    due = sa.and_(
        deliveries.c.subscription_id == subscription_id, deliveries.c.state == DeliveryState.DUE,
        deliveries.c.claim_owner.is_(None),
    )
    tx.execute(deliveries.update().where(due).values(host=host))


def has_newer(tx: sa.Connection, delivery_id: uuid.UUID) -> bool:
    """Whether something newer of its release is public."""
    query = sa.select(deliveries.c.id).where(deliveries.c.id == delivery_id, is_overtaken())
    return tx.execute(query).first() is not None


def send_anew(tx: sa.Connection, delivery_id: uuid.UUID, now: datetime) -> None:
    """Due at once, with all its tries before it, under the same message id; unless something newer is public."""
    is_free = sa.and_(deliveries.c.id == delivery_id, deliveries.c.claim_owner.is_(None), ~is_overtaken())
    make_due(tx, is_free, now)


def list_told(tx: sa.Connection, release_id: uuid.UUID, first: uuid.UUID, last: uuid.UUID) -> set[uuid.UUID]:
    """Of the subscriptions from `first` to `last`, those that were sent any revision of the release.

    As far as anybody can know: one try is enough.
    """
    about = tx.execute(sa.select(events.c.id).where(events.c.release_id == release_id)).scalars().all()
    query = sa.select(deliveries.c.subscription_id).where(
        deliveries.c.event_id.in_(about), deliveries.c.subscription_id.between(first, last), deliveries.c.attempt > 0
    )
    return set(tx.execute(query).scalars())


def find_delivery(tx: sa.Connection, delivery_id: uuid.UUID) -> Delivery | None:
    return next(iter(_list(tx, deliveries.c.id == delivery_id, limit=1, before=None)), None)


def find_exchanges(tx: sa.Connection, delivery_id: uuid.UUID, subscription_id: uuid.UUID) -> Delivery | None:
    """A delivery to this subscription with all that is kept of each attempt."""
    where = sa.and_(deliveries.c.id == delivery_id, deliveries.c.subscription_id == subscription_id)
    found = next(iter(_list(tx, where, limit=1, before=None)), None)
    query = sa.select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)
    return found and dataclasses.replace(found, attempts=tuple(
        Attempt(**{name: getattr(row, name) for name in _ATTEMPT + _EXCHANGE}) for row in tx.execute(query)
    ))


def list_for_release(
    tx: sa.Connection, release_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[Delivery]:
    """Newest first, with every attempt."""
    return _list(tx, events.c.release_id == release_id, limit=limit, before=before)


def list_for_subscription(
    tx: sa.Connection, subscription_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[Delivery]:
    """Newest first, with every attempt."""
    own = deliveries.c.subscription_id
    end = sa.tuple_(sa.literal(subscription_id, sa.Uuid), sa.literal(before or _LAST_ID, sa.Uuid))
    # A place in the index of both: told of one subscription's ids, PostgreSQL may walk back through everybody's.
    query = sa.select(deliveries.c.id).where(own >= subscription_id, sa.tuple_(own, deliveries.c.id) < end)
    ids = tx.execute(query.order_by(own.desc(), deliveries.c.id.desc()).limit(limit)).scalars().all()
    return _list(tx, among(deliveries.c.id, ids), limit=None, before=None) if ids else []


def list_receivers(
    tx: sa.Connection, release_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> list[uuid.UUID]:
    """Subscriptions that are or were owed anything of the release, newest first."""
    # Event by event, of which there are few: together they would be sorted, however many subscriptions there are.
    found: set[uuid.UUID] = set()
    for event_id in tx.execute(sa.select(events.c.id).where(events.c.release_id == release_id)).scalars().all():
        query = sa.select(deliveries.c.subscription_id).where(
            deliveries.c.event_id == event_id, deliveries.c.subscription_id < (before or _LAST_ID)
        )
        found |= set(tx.execute(query.order_by(deliveries.c.subscription_id.desc()).limit(limit)).scalars())
    return sorted(found, reverse=True)[:limit]


def count_receivers(tx: sa.Connection, release_id: uuid.UUID) -> dict[str, int]:
    """How many there are, and with how many the newest that they were to get is accepted, due or abandoned."""
    about = tx.execute(sa.select(events.c.id).where(events.c.release_id == release_id)).scalars().all()
    is_retired = sa.case((deliveries.c.state == DeliveryState.SUPERSEDED, 1), else_=0)
    rank = sa.func.row_number().over(
        partition_by=deliveries.c.subscription_id, order_by=(is_retired, deliveries.c.id.desc())
    )
    ranked = sa.select(
        deliveries.c.state, deliveries.c.delivered_at, rank.label("rank")
    ).where(deliveries.c.event_id.in_(about)).subquery()
    is_taken = ranked.c.delivered_at.is_not(None)

    def count(*where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((sa.and_(*where), 1), else_=0)), 0)

    figures = sa.select(
        sa.func.count().label("receivers"), count(is_taken).label("accepted"),
        count(~is_taken, ranked.c.state == DeliveryState.DUE).label("due"),
        count(~is_taken, ranked.c.state == DeliveryState.ABANDONED).label("abandoned"),
    ).where(ranked.c.rank == 1)
    return {name: int(number) for name, number in tx.execute(figures).mappings().one().items()}


def list_for_receivers(
    tx: sa.Connection, release_id: uuid.UUID, subscription_ids: Sequence[uuid.UUID]
) -> list[Delivery]:
    """All that these subscriptions are or were owed of the release, newest first."""
    # By value: through a join, SQLite would look up a lone partner's whole history.
    about = tx.execute(sa.select(events.c.id).where(events.c.release_id == release_id)).scalars().all()
    where = sa.and_(deliveries.c.event_id.in_(about), deliveries.c.subscription_id.in_(subscription_ids))
    return _list(tx, where, limit=None, before=None)


def _list(
    tx: sa.Connection, where: sa.ColumnElement[bool], *, limit: int | None, before: uuid.UUID | None
) -> list[Delivery]:
    query = (
        sa.select(
            deliveries, events.c.type, events.c.release_id, events.c.revision, subscriptions.c.partner,
            subscriptions.c.channel, payloads.c.variant,
        )
        .join(events, events.c.id == deliveries.c.event_id)
        .outerjoin(payloads, payloads.c.id == deliveries.c.payload_id)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
        .where(where).order_by(deliveries.c.id.desc()).limit(limit)
    )
    rows = tx.execute(query.where(deliveries.c.id < before) if before else query).all()
    tried = _attempts(tx, [row.id for row in rows])
    return [_delivery(row, tried.get(row.id, ())) for row in rows]


def _attempts(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[Attempt, ...]]:
    # What was exchanged may be much, and a page of deliveries shows none of it.
    columns = (attempts.c[name] for name in ("delivery_id", *_ATTEMPT))
    query = sa.select(*columns).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.number)
    tried: dict[uuid.UUID, tuple[Attempt, ...]] = {}
    for row in tx.execute(query):
        attempt = Attempt(**{name: getattr(row, name) for name in _ATTEMPT})
        tried[row.delivery_id] = (*tried.get(row.delivery_id, ()), attempt)
    return tried


def _delivery(row: Any, tried: tuple[Attempt, ...]) -> Delivery:
    variant = _read_variant(row.variant or "")
    return Delivery(
        id=row.id, event_id=row.event_id, event_type=EventType(row.type), subscription_id=row.subscription_id,
        partner=row.partner, channel=Channel(row.channel), state=DeliveryState(row.state), created_at=row.created_at,
        release_id=row.release_id, revision=row.revision, next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at, format=variant.format, languages=variant.languages, attempts=tried,
    )
