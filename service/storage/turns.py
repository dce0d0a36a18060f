"""Who of those in line is sent next.

What is next is found by stepping from one subscription's oldest to the next one's, so that it costs the same
however many stand behind them.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import DeliveryState, Lane, SubscriptionState
from service.retries import (
    CLAIM,
    HOST_BURST,
    HOST_ROOM,
    LONG_ATTEMPT_SECONDS,
    LONG_CLAIM,
    LONGEST_WAIT,
    MOMENT,
    Breaker,
    host_room,
    spread,
)
from service.storage.hosts import find_breakers
from service.storage.pauses import keep
from service.storage.sets import Gathered, Key, among
from service.storage.tables import deliveries, subscriptions

# How many leave the line, put off, while one claim is made.
PUT_OFF_BATCH = 2000

_LAST_ID = uuid.UUID(int=2**128 - 1)
_LANES = [lane.value for lane in Lane]


@dataclass(slots=True)
class Choice:
    """Who is sent next; which hosts and subscriptions are to be left alone, and until when; and which for good.

    Ids are `Key`s. ``hosts`` counts what is chosen for each. What is ``slow`` is chosen too.
    """

    chosen: dict[Any, Lane] = field(default_factory=dict)
    slow: set[Any] = field(default_factory=set)
    hosts: Counter[str] = field(default_factory=Counter)
    subscriptions: set[Any] = field(default_factory=set)
    hosts_put_off: dict[str, datetime] = field(default_factory=dict)
    subscriptions_put_off: dict[Any, datetime] = field(default_factory=dict)
    silent: set[Any] = field(default_factory=set)

    def weigh(self, row: Any, lane: Lane, breaker: Breaker | None, now: datetime) -> None:
        room = host_room(breaker, now) if breaker else HOST_ROOM
        if row.state != SubscriptionState.ACTIVE:
            # It was paused or ended while this was planned.
            self.silent.add(row.subscription_id)
        elif room == 0 and breaker and breaker.held_until:
            self.hosts_put_off[row.host] = breaker.held_until
        elif row.held_until and now < row.held_until <= now + LONGEST_WAIT:
            self.subscriptions_put_off[row.subscription_id] = row.held_until
        elif not row.is_busy and row.subscription_id not in self.subscriptions and self._has_room(row, room):
            self.chosen[row.id] = lane
            if row.channel in LONG_ATTEMPT_SECONDS:
                self.slow.add(row.id)
            self.hosts[row.host] += 1
            self.subscriptions.add(row.subscription_id)

    def _has_room(self, row: Any, room: int) -> bool:
        more = self.hosts[row.host]
        return bool(row.flying + more < room and row.fresh + more < HOST_BURST)

    @property
    def count_put_off(self) -> int:
        return len(self.hosts_put_off) + len(self.subscriptions_put_off) + len(self.silent)


def choose(tx: sa.Connection, choice: Choice, lane: Lane, after: str, room: int, now: datetime) -> int:
    """Up to `room` more of a lane, host by host from the one behind `after`, so that all have their turn.

    Returns how many.
    """
    before, most = len(choice.chosen), len(choice.chosen) + room
    for rows in _walk(tx, lane, after, room, now) if room > 0 else ():
        breakers = find_breakers(tx, {row.host for row in rows})
        for row in rows:
            if len(choice.chosen) < most:
                choice.weigh(row, lane, breakers.get(row.host), now)
        if len(choice.chosen) >= most or choice.count_put_off >= PUT_OFF_BATCH:
            break
    return len(choice.chosen) - before


def _walk(tx: sa.Connection, lane: Lane, after: str, size: int, now: datetime) -> Iterator[Sequence[Any]]:
    """The oldest of each subscription, of each host at most as many as it could have room for, batch by batch."""
    given = {"lane": lane.value, "size": size, "after": after} | _moments(now)
    for start, is_wrapped in ((after, False), ("", True)) if after else (("", False),):
        host, subscription_id = start, _LAST_ID
        while rows := _STEPS.execute(tx, given | {"host": host, "subscription_id": subscription_id}):
            yield [row for row in rows if not (is_wrapped and row.is_behind)]
            host, subscription_id = rows[-1].host, rows[-1].subscription_id
            if len(rows) < size or (is_wrapped and rows[-1].is_behind):
                break


def _moments(now: datetime) -> dict[str, datetime]:
    return {
        "moment_ago": now + CLAIM - MOMENT, "moment_on": now + CLAIM + MOMENT,
        "long_moment_ago": now + LONG_CLAIM - MOMENT,
    }


def _make_flight() -> sa.CTE:
    """To each host, how many are in flight from all couriers, and how many of them in their first moment."""
    until = deliveries.c.claim_until
    # By when a claim ends, for there are two kinds, each of its length.
    is_usual = sa.and_(until > sa.bindparam("moment_ago"), until < sa.bindparam("moment_on"))
    is_fresh = sa.or_(is_usual, until > sa.bindparam("long_moment_ago"))
    fresh = sa.func.sum(sa.case((is_fresh, 1), else_=0))
    query = sa.select(deliveries.c.host, sa.func.count().label("flying"), fresh.label("fresh"))
    return query.where(deliveries.c.claim_owner.is_not(None)).group_by(deliveries.c.host).cte("flight")


def _make_steps() -> sa.Select[Any]:
    """A loose scan of the index: each step looks up the first that stands behind the last.

    Takes a `lane`, the `host` and `subscription_id` to start behind, a `size`, the host `after` which a turn began, and
    the `_moments`.
    """
    here = deliveries.alias("here")
    flying, gone = deliveries.alias("flying"), deliveries.alias("gone")
    columns = (sa.type_coerce(here.c.id, Key).label("id"), here.c.host,
               sa.type_coerce(here.c.subscription_id, Key).label("subscription_id"))
    flies = sa.exists().where(flying.c.subscription_id == here.c.subscription_id, flying.c.claim_owner.is_not(None))
    # A withdrawal that failed goes before all else of its subscription once its time has come again.
    withdraws = sa.and_(here.c.lane.in_((Lane.FIRST.value, Lane.AGAIN.value)), sa.exists().where(
        gone.c.lane == Lane.WITHDRAWAL_AGAIN.value, gone.c.host == here.c.host,
        gone.c.subscription_id == here.c.subscription_id,
    ))
    busy = sa.case((sa.or_(flies, withdraws), 1), else_=0)
    host, subscription_id = sa.bindparam("host", type_=here.c.host.type), sa.bindparam("subscription_id", type_=Key)
    first = sa.select(*columns, busy.label("is_busy"), (1 - busy).label("free"))
    steps = first.where(here.c.id == _first_behind(host, subscription_id)).cte("steps", recursive=True)
    # From a host with as many as it can have room for, on to the next one.
    is_enough = steps.c.free >= HOST_BURST
    last = sa.case((is_enough, sa.literal(_LAST_ID, Key)), else_=steps.c.subscription_id)
    before = sa.case((here.c.host == steps.c.host, steps.c.free), else_=0)
    onward = sa.select(*columns, busy, before + 1 - busy)
    steps = steps.union_all(onward.join_from(steps, here, here.c.id == _first_behind(steps.c.host, last)))
    found = sa.select(
        steps.c.id, steps.c.host, steps.c.subscription_id, steps.c.is_busy
    ).limit(sa.bindparam("size")).subquery()
    flight = _make_flight()
    counts = (sa.func.coalesce(count, 0).label(count.name) for count in (flight.c.flying, flight.c.fresh))
    # Told by the database, whose order of hosts may be that of a language.
    is_behind = sa.case((found.c.host > sa.bindparam("after"), 1), else_=0).label("is_behind")
    own = (subscriptions.c[name] for name in ("held_until", "state", "channel"))
    query = sa.select(found, *counts, is_behind, *own)
    query = query.join_from(found, subscriptions, subscriptions.c.id == found.c.subscription_id)
    query = query.outerjoin(flight, flight.c.host == found.c.host)
    return query.order_by(found.c.host, found.c.subscription_id)


def _first_behind(host: Any, subscription_id: Any) -> sa.ScalarSelect[uuid.UUID]:
    place = (deliveries.c.host, deliveries.c.subscription_id)
    is_behind = sa.tuple_(*place) > sa.tuple_(host, subscription_id)
    query = sa.select(deliveries.c.id).where(deliveries.c.lane == sa.bindparam("lane"), is_behind)
    return query.order_by(*place, deliveries.c.id).limit(1).scalar_subquery()


# Made once: to put it together takes longer than to execute it.
_STEPS = Gathered(_make_steps())


def put_off(tx: sa.Connection, choice: Choice) -> None:
    """Have those leave the line that are to be left alone, and come back one after another."""
    if choice.silent:
        keep(tx, choice.silent)
    untils: Mapping[Any, datetime] = choice.hosts_put_off | choice.subscriptions_put_off
    own = deliveries.c.subscription_id
    for column, key, keys in (
        (deliveries.c.host, deliveries.c.host, choice.hosts_put_off),
        (own, sa.type_coerce(own, Key), choice.subscriptions_put_off),
    ):
        if keys:
            query = sa.select(deliveries.c.id, key.label("key")).where(
                deliveries.c.state == DeliveryState.DUE, deliveries.c.lane.in_(_LANES), among(column, keys)
            ).limit(PUT_OFF_BATCH).with_for_update(skip_locked=True)
            rows = [{"own_id": row.id, "due_at": spread(row.id, untils[row.key])} for row in tx.execute(query)]
            if rows:
                change = deliveries.update().where(deliveries.c.id == sa.bindparam("own_id"))
                tx.execute(change.values(lane=None, next_attempt_at=sa.bindparam("due_at")), rows)
