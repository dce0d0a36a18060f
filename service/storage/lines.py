"""The lines in which due deliveries stand: who gets in line, and who is in any."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa

from service.model import DeliveryState, EventType, Lane
from service.retries import LONG_CLAIM, LONGEST_WAIT
from service.storage.pauses import OWN_HOST
from service.storage.sets import among
from service.storage.tables import deliveries, events

# How many get in line while one claim is made.
WAKE_BATCH = 2000

_is_waiting = sa.and_(
    deliveries.c.state == DeliveryState.DUE, deliveries.c.lane.is_(None), deliveries.c.claim_owner.is_(None),
)
_is_claimed = deliveries.c.claim_owner.is_not(None)
# Made once, as a courier asks this all the time.
_RIPE = sa.select(deliveries.c.id).where(
    _is_waiting, deliveries.c.next_attempt_at <= sa.bindparam("now")
).order_by(deliveries.c.next_attempt_at).limit(WAKE_BATCH).with_for_update(skip_locked=True)
# Of a claim: a dead courier has it, or one whose clock was set back since. Takes what `lost_at` names.
IS_LOST = sa.or_(
    deliveries.c.claim_until <= sa.bindparam("now"), deliveries.c.claim_until > sa.bindparam("latest")
)
_LOST = sa.select(deliveries.c.id).where(_is_claimed, IS_LOST).with_for_update(skip_locked=True)


def lost_at(now: datetime) -> dict[str, datetime]:
    """What `IS_LOST` takes: no claim is made for so long as the latest."""
    return {"now": now, "latest": now + 2 * LONG_CLAIM}


def lane_of(event_type: EventType) -> Lane:
    """Where a first try gets in line."""
    return Lane.WITHDRAWAL if event_type is EventType.RELEASE_WITHDRAWN else Lane.FIRST


# Minima, not "exists": PostgreSQL might look for any through the whole table.
_LANES = sa.select(*(
    sa.select(sa.func.min(deliveries.c.lane)).where(deliveries.c.lane >= lane.value).scalar_subquery().label(lane.name)
    for lane in Lane
))
_DUE = sa.select(
    sa.select(sa.func.min(deliveries.c.lane)).where(deliveries.c.lane.is_not(None)).scalar_subquery().label("lane"),
    sa.select(sa.func.min(deliveries.c.next_attempt_at)).where(_is_waiting).scalar_subquery().label("waiting"),
    sa.select(sa.func.min(deliveries.c.claim_until)).where(_is_claimed).scalar_subquery().label("claimed"),
    sa.select(sa.func.max(deliveries.c.claim_until)).where(_is_claimed).scalar_subquery().label("furthest"),
)


def find_lanes(tx: sa.Connection) -> list[Lane]:
    """Those in which anything stands, the first first."""
    return sorted({Lane(lane) for lane in tx.execute(_LANES).one() if lane is not None})


def is_any_due(tx: sa.Connection, now: datetime) -> bool:
    """Whether any stands in line, waits and its time has come, or was held by a courier that died."""
    lane, *times, furthest = tx.execute(_DUE).one()
    is_misdated = furthest is not None and furthest > lost_at(now)["latest"]
    return lane is not None or is_misdated or any(at is not None and at <= now for at in times)


def wake(tx: sa.Connection, now: datetime) -> None:
    """Have those get in line whose time has come."""
    if ids := tx.execute(_RIPE, {"now": now}).scalars().all():
        tx.execute(deliveries.update().where(among(deliveries.c.id, ids)).values(lane=_lane()))


def wake_misdated(tx: sa.Connection, now: datetime) -> None:
    """What waits for longer than anything is put off was put off by a clock that has been set back since."""
    query = sa.select(deliveries.c.id).where(_is_waiting, deliveries.c.next_attempt_at > now + LONGEST_WAIT)
    query = query.limit(WAKE_BATCH).with_for_update(skip_locked=True)
    if ids := tx.execute(query).scalars().all():
        tx.execute(deliveries.update().where(among(deliveries.c.id, ids)).values(next_attempt_at=now))


def free_lost(tx: sa.Connection, now: datetime) -> list[uuid.UUID]:
    """Have those get in line again whose claim is lost; names them."""
    lost = list(tx.execute(_LOST, lost_at(now)).scalars())
    if lost:
        change = deliveries.update().where(among(deliveries.c.id, lost))
        # The callback may have been changed meanwhile. What died with its courier is no failure of the receiver's.
        tx.execute(change.values(
            claim_owner=None, claim_until=None, lane=_lane(), host=OWN_HOST, tries_before=deliveries.c.tries_before + 1
        ))
    return lost


def _lane() -> sa.ColumnElement[int]:
    is_withdrawal = sa.exists().where(
        events.c.id == deliveries.c.event_id, events.c.type == EventType.RELEASE_WITHDRAWN
    )
    first = sa.case((is_withdrawal, Lane.WITHDRAWAL.value), else_=Lane.FIRST.value)
    return first + sa.case((deliveries.c.attempt > deliveries.c.tries_before, Lane.AGAIN - Lane.FIRST), else_=0)
