"""Claims on deliveries, and what retires a delivery before its time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from service.model import Channel, Claim, DeliveryState, Lane
from service.storage import lines, turns
from service.storage.deliveries import message_id
from service.storage.overtaken import retire_followed, retire_overtaken, retire_returned
from service.storage.sets import Gathered, Key, among
from service.storage.tables import deliveries, events, payloads, subscriptions
from service.storage.websub import State, read_states

# Names the couriers' turns among PostgreSQL's advisory locks.
_TURN = 727165
# Of a topic without a document nothing is sent: the attempt fails.
_GONE = State(None, None, None)  # type: ignore[arg-type]


def take_turn(tx: sa.Connection) -> None:
    """One courier claims at a time, for what is in flight is counted over all; SQLite has no other way anyhow.

    The wait may be long, so the time of a claim is read behind it: else it would be over when it begins.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))


@dataclass(frozen=True, slots=True)
class Held:
    """What a courier has claimed, as the database gave it: of each by its `Key` the lane, in the order to be sent."""

    lanes: Mapping[Any, Lane]
    rows: Sequence[Any]
    bodies: Mapping[Any, State]
    states: Mapping[str, State]
    dialect: sa.Dialect

    def read(self) -> list[Claim]:
        """On SQLite that takes as long as to claim them, and nobody else writes during a transaction."""
        rows = {row.key: row for row in _HELD.read(self.rows, self.dialect)}
        return [self._claim(rows[key], lane) for key, lane in self.lanes.items() if key in rows]

    def _claim(self, row: Any, lane: Lane) -> Claim:
        content = self.states.get(row.topic) or self.bodies.get(row.payload_id) or _GONE
        return Claim(
            delivery_id=row.id, subscription_id=row.subscription_id, owner=row.claim_owner, attempt=row.attempt,
            until=row.claim_until, message_id=message_id(row.id), channel=Channel(row.channel), callback=row.callback,
            secret=row.secret, settings=_read_settings(row.settings), former_secrets=row.former_secrets,
            first_due_at=row.created_at, lane=lane, host=row.host, body=content.body, media_type=content.media_type,
            link=content.link, tries_before=row.tries_before, failing_since=row.failing_since,
        )


def hold_due(
    tx: sa.Connection, owner: str, *, limit: int, now: datetime, until: datetime, slow_until: datetime | None = None,
    retry_limit: int | None = None, after: Mapping[Lane, str] = MappingProxyType({}),
) -> Held:
    """Hold up to `limit` first tries and `retry_limit` retries, or `limit` of each, until `until`.

    Withdrawals come first. Of each subscription only the oldest in its lane is held, and none while another is in
    flight: that keeps its order, and its troubles to itself. `after` names the host of each lane's last claim.
    What has more to do than an attempt of the others may last is held until `slow_until`, if that is given.
    Whoever isn't alone has taken his turn before.
    """
    lines.wake(tx, now)
    if freed := lines.free_lost(tx, now):
        # What a newer event has overtaken meanwhile is not sent once more.
        retire_returned(tx, freed)
    choice = turns.Choice()
    rooms = {False: limit, True: limit if retry_limit is None else retry_limit}
    for lane in lines.find_lanes(tx):
        chosen = turns.choose(tx, choice, lane, after.get(lane, ""), rooms[lane.is_retry], now)
        rooms[lane.is_retry] -= chosen
        if lane is Lane.WITHDRAWAL and not rooms[False]:
            # Nobody who waits for one may get an older thing first.
            break
    turns.put_off(tx, choice)
    retire_overtaken(tx, choice.chosen)
    # What came back from a try while something newer was being planned: neither could see the other then.
    retire_followed(tx, [id for id, lane in choice.chosen.items() if lane.is_retry])
    for ids, end in ((choice.chosen.keys() - choice.slow, until), (choice.slow, slow_until or until)):
        if ids:
            tx.execute(_HOLD, {"ids": ids, "owner": owner, "until": end})
    return _fetch(tx, owner, choice.chosen)


def _fetch(tx: sa.Connection, owner: str, lanes: Mapping[Any, Lane]) -> Held:
    rows = _HELD.fetch(tx, {"ids": lanes.keys(), "owner": owner}) if lanes else ()
    bodies = _read_bodies(tx, {row.payload_id for row in rows})
    states = read_states(tx, {row.topic for row in rows if row.topic})
    return Held(lanes, rows, bodies, states, tx.dialect)


def abandon_due(tx: sa.Connection, subscription_id: uuid.UUID) -> None:
    """Give up what an ended subscription is still owed. What is in flight just now is left to finish: it may arrive."""
    due = deliveries.update().where(
        deliveries.c.subscription_id == subscription_id, deliveries.c.state == DeliveryState.DUE,
        deliveries.c.claim_owner.is_(None),
    )
    tx.execute(due.values(state=DeliveryState.ABANDONED, next_attempt_at=None, lane=None))


def retire_waiting(tx: sa.Connection, release_id: uuid.UUID, after: uuid.UUID, last: uuid.UUID) -> None:
    """What still waits of this release gives way to a newer event. What is in flight just now is left to finish.

    With the subscriptions behind `after`, up to `last`.
    """
    older = sa.select(events.c.id).where(events.c.release_id == release_id)
    waiting = deliveries.update().where(
        deliveries.c.event_id.in_(older), deliveries.c.state == DeliveryState.DUE, deliveries.c.claim_owner.is_(None),
        deliveries.c.subscription_id > after, deliveries.c.subscription_id <= last,
    )
    tx.execute(waiting.values(state=DeliveryState.SUPERSEDED, next_attempt_at=None, lane=None))


def _read_bodies(tx: sa.Connection, ids: Collection[Any]) -> dict[Any, State]:
    """Each once, however many are sent it."""
    rows = tx.execute(_BODIES, {"ids": ids}).all() if (ids := {*ids} - {None}) else ()
    return {row.key: State(row.body, row.media_type, None) for row in rows}


@lru_cache(1024)
def _read_settings(text: str) -> Mapping[str, Any]:
    return MappingProxyType(json.loads(text))


# Again, for what was retired or is being changed meanwhile.
_READY = sa.select(deliveries.c.id).where(among(deliveries.c.id, "ids"), deliveries.c.lane.is_not(None))
_HOLD = deliveries.update().where(deliveries.c.id.in_(_READY.with_for_update(skip_locked=True))).values(
    claim_owner=sa.bindparam("owner"), claim_until=sa.bindparam("until"), attempt=deliveries.c.attempt + 1, lane=None
)
_HELD = Gathered(sa.select(
    sa.type_coerce(deliveries.c.id, Key).label("key"),
    deliveries.c.id, deliveries.c.subscription_id, deliveries.c.attempt, deliveries.c.created_at, deliveries.c.host,
    deliveries.c.claim_owner, deliveries.c.claim_until, deliveries.c.tries_before,
    sa.type_coerce(deliveries.c.payload_id, Key).label("payload_id"),
    subscriptions.c.channel, subscriptions.c.callback, subscriptions.c.secret, subscriptions.c.former_secrets,
    subscriptions.c.topic, subscriptions.c.failing_since,
    # As text, for most are the same, and not read as JSON again and again.
    sa.cast(subscriptions.c.settings, sa.Text).label("settings"),
).join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id).where(
    among(deliveries.c.id, "ids"), deliveries.c.claim_owner == sa.bindparam("owner")
))
_BODIES = sa.select(
    sa.type_coerce(payloads.c.id, Key).label("key"), payloads.c.body, payloads.c.media_type
).where(among(payloads.c.id, "ids"))
