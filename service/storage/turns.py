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
from service.retries import CLAIM, HOST_BURST, HOST_ROOM, LONG_CLAIM, LONGEST_WAIT, MOMENT, Breaker, host_room, spread
from service.storage.hosts import find_breakers
from service.storage.lines import IS_LOST, lost_at
from service.storage.pauses import keep
from service.storage.sets import Gathered, Key, among
from service.storage.tables import deliveries, subscriptions

# How many leave the line, put off, while one claim is made.
PUT_OFF_BATCH = 2000

_LAST_ID = uuid.UUID(int=2**128 - 1)
_LANES = [lane.value for lane in Lane]


@dataclass(slots=True)
class Flight:
    """What is in flight from all couriers, and to each host how many of them in their first moment."""

    subscriptions: set[Any]
    hosts: Counter[str]
    bursts: Counter[str]
    # Whether a courier is among them that died.
    is_any_lost: bool

    def add(self, subscription_id: Any, host: str) -> None:
        self.subscriptions.add(subscription_id)
        self.hosts[host] += 1
        self.bursts[host] += 1

    def has_room(self, subscription_id: Any, host: str, room: int) -> bool:
        return (
            subscription_id not in self.subscriptions and self.hosts[host] < room and self.bursts[host] < HOST_BURST
        )


# By when a claim ends, for there are two kinds, each of its length.
_IS_FRESH = sa.or_(
    sa.and_(
        deliveries.c.claim_until > sa.bindparam("moment_ago"), deliveries.c.claim_until < sa.bindparam("moment_on")
    ),
    deliveries.c.claim_until > sa.bindparam("long_moment_ago"),
)
_FLYING = Gathered(sa.select(
    sa.type_coerce(deliveries.c.subscription_id, Key).label("subscription_id"), deliveries.c.host,
    sa.case((_IS_FRESH, 1), else_=0).label("is_fresh"), sa.case((IS_LOST, 1), else_=0).label("is_lost"),
).where(deliveries.c.claim_owner.is_not(None)))


def find_flight(tx: sa.Connection, now: datetime) -> Flight:
    moments = {
        "moment_ago": now + CLAIM - MOMENT, "moment_on": now + CLAIM + MOMENT,
        "long_moment_ago": now + LONG_CLAIM - MOMENT,
    }
    rows = _FLYING.execute(tx, lost_at(now) | moments)
    return Flight(
        subscriptions={row.subscription_id for row in rows}, hosts=Counter(row.host for row in rows),
        bursts=Counter(row.host for row in rows if row.is_fresh), is_any_lost=any(row.is_lost for row in rows),
    )


@dataclass(slots=True)
class Choice:
    """Who is sent next; which hosts and subscriptions are to be left alone, and until when; and which for good.

    Ids are `Key`s.
    """

    flight: Flight
    chosen: dict[Any, Lane] = field(default_factory=dict)
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
        elif self.flight.has_room(row.subscription_id, row.host, room):
            self.flight.add(row.subscription_id, row.host)
            self.chosen[row.id] = lane

    @property
    def count_put_off(self) -> int:
        return len(self.hosts_put_off) + len(self.subscriptions_put_off) + len(self.silent)


def choose(tx: sa.Connection, choice: Choice, lane: Lane, after: str, room: int, now: datetime) -> int:
    """Up to `room` more of a lane, host by host from the one behind `after`, so that all have their turn.

    Returns how many.
    """
    before, most = len(choice.chosen), len(choice.chosen) + room
    for rows in _walk(tx, lane, after, room) if room > 0 else ():
        breakers = find_breakers(tx, {row.host for row in rows})
        for row in rows:
            if len(choice.chosen) < most:
                choice.weigh(row, lane, breakers.get(row.host), now)
        if len(choice.chosen) >= most or choice.count_put_off >= PUT_OFF_BATCH:
            break
    return len(choice.chosen) - before


def _walk(tx: sa.Connection, lane: Lane, after: str, size: int) -> Iterator[Sequence[Any]]:
    """The oldest of each subscription, of each host at most as many as it could have room for, batch by batch."""
    for start, is_wrapped in ((after, False), ("", True)) if after else (("", False),):
        host, subscription_id = start, _LAST_ID
        while rows := _STEPS.execute(tx, {"lane": lane.value, "host": host, "subscription_id": subscription_id,
                                          "size": size}):
            yield [row for row in rows if not (is_wrapped and row.host > after)]
            host, subscription_id = rows[-1].host, rows[-1].subscription_id
            if len(rows) < size or (is_wrapped and host > after):
                break


def _make_steps() -> sa.Select[Any]:
    """A loose scan of the index: each step looks up the first that stands behind the last.

    Takes a `lane`, the `host` and `subscription_id` to start behind, and a `size`.
    """
    here = deliveries.alias("here")
    flying = deliveries.alias("flying")
    columns = (sa.type_coerce(here.c.id, Key).label("id"), here.c.host,
               sa.type_coerce(here.c.subscription_id, Key).label("subscription_id"))
    is_busy = sa.exists().where(
        flying.c.subscription_id == here.c.subscription_id, flying.c.claim_owner.is_not(None)
    )
    free = sa.case((is_busy, 0), else_=1)
    host, subscription_id = sa.bindparam("host", type_=here.c.host.type), sa.bindparam("subscription_id", type_=Key)
    first = sa.select(*columns, free.label("free")).where(here.c.id == _first_behind(host, subscription_id))
    steps = first.cte("steps", recursive=True)
    # From a host with as many as it can have room for, on to the next one.
    is_enough = steps.c.free >= HOST_BURST
    last = sa.case((is_enough, sa.literal(_LAST_ID, Key)), else_=steps.c.subscription_id)
    before = sa.case((here.c.host == steps.c.host, steps.c.free), else_=0)
    onward = sa.select(*columns, before + free).join_from(steps, here, here.c.id == _first_behind(steps.c.host, last))
    steps = steps.union_all(onward)
    found = sa.select(steps.c.id, steps.c.host, steps.c.subscription_id).limit(sa.bindparam("size")).subquery()
    return sa.select(found, subscriptions.c.held_until, subscriptions.c.state).join_from(
        found, subscriptions, subscriptions.c.id == found.c.subscription_id
    ).order_by(found.c.host, found.c.subscription_id)


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
