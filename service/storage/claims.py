"""Claims on deliveries, the record of every attempt, and what retires a delivery before its time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from service.model import Attempt, Channel, Claim, DeliveryState, Lane
from service.retries import Breaker, is_host_well, judge_host, must_pause
from service.storage import hosts, lines, pauses, turns
from service.storage.abandoned import note_abandoned
from service.storage.deliveries import message_id
from service.storage.overtaken import retire_followed, retire_overtaken
from service.storage.sets import Gathered, Key, Rows, among
from service.storage.subscriptions import hold
from service.storage.tables import Instant, attempts, deliveries, events, payloads, subscriptions
from service.storage.websub import State, read_states, retire_older_states

# Names the couriers' turns among PostgreSQL's advisory locks.
_TURN = 727165
# Of a topic without a document nothing is sent: the attempt fails.
_GONE = State(None, None, None)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to: the delivery's next state, and when to try again if it is still due.

    Before ``holds_until`` the receiver wants nothing at all.
    """

    claim: Claim
    attempt: Attempt
    state: DeliveryState
    next_attempt_at: datetime | None
    holds_until: datetime | None = None


def take_turn(tx: sa.Connection) -> None:
    """One courier claims at a time, for what is in flight is counted over all; SQLite has no other way anyhow.

    The wait may be long, so the time of a claim is read behind it: else it would be over when it begins.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))


def claim_due(
    tx: sa.Connection, owner: str, *, limit: int, now: datetime, until: datetime,
    retry_limit: int | None = None, after: Mapping[Lane, str] = MappingProxyType({}),
) -> list[Claim]:
    """Hold up to `limit` first tries and `retry_limit` retries, or `limit` of each, until `until`.

    Withdrawals come first. Of each subscription only the oldest in its lane is held, and none while another is in
    flight: that keeps its order, and its troubles to itself. `after` names the host of each lane's last claim.
    Whoever isn't alone has taken his turn before.
    """
    lines.wake(tx, now)
    choice = turns.Choice(_find_flight(tx, now))
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
    return _hold(tx, owner, until, choice.chosen)


def _find_flight(tx: sa.Connection, now: datetime) -> turns.Flight:
    """Without those that were lost: they are in line again."""
    flight = turns.find_flight(tx, now)
    if not flight.is_any_lost:
        return flight
    if freed := lines.free_lost(tx, now):
        # What a newer event has overtaken meanwhile is not sent once more.
        _retire_overtaken(tx, freed)
    return turns.find_flight(tx, now)


def _hold(tx: sa.Connection, owner: str, until: datetime, chosen: Mapping[Any, Lane]) -> list[Claim]:
    if not chosen:
        return []
    ids = {"ids": chosen.keys()}
    tx.execute(_HOLD, ids | {"owner": owner, "until": until})
    held = [*_HELD.execute(tx, ids | {"owner": owner})]
    bodies = _read_bodies(tx, {row.payload_id for row in held})
    states = read_states(tx, {row.topic for row in held if row.topic})
    place = {id: number for number, id in enumerate(chosen)}
    held.sort(key=lambda row: place[row.key])
    return [
        _claim(row, until, chosen[row.key], states.get(row.topic) or bodies.get(row.payload_id)) for row in held
    ]


def hold_longer(tx: sa.Connection, owned: Sequence[Claim], until: datetime) -> None:
    """These have more to do than an attempt of the others may last."""
    ids = [claim.delivery_id for claim in owned]
    tx.execute(deliveries.update().where(among(deliveries.c.id, ids)).values(claim_until=until))


def record_outcomes(tx: sa.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Write down finished attempts; returns those whose claim was lost meanwhile, of which nothing is kept."""
    lost = _conclude(tx, outcomes)
    kept = [outcome for outcome in outcomes if outcome not in lost] if lost else outcomes
    if kept:
        _KEEP_ATTEMPT.execute(tx, [_attempt(outcome) for outcome in kept])
        if again := [outcome.claim.delivery_id for outcome in kept if outcome.state is DeliveryState.DUE]:
            _retire_overtaken(tx, again)
        _judge_hosts(tx, kept)
        _judge_receivers(tx, kept)
        for outcome in kept:
            if outcome.holds_until:
                hold(tx, outcome.claim.subscription_id, outcome.claim.callback, outcome.holds_until)
        if abandoned := [each for each in kept if each.state is DeliveryState.ABANDONED]:
            note_abandoned(tx, {each.claim.delivery_id: each.attempt for each in abandoned})
    return lost


def _conclude(tx: sa.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns those whose claim was lost."""
    # In one order, so that two workers which report on the same rows don't wait for each other.
    ordered = sorted(outcomes, key=attrgetter("claim.delivery_id.int"))
    # Whose claim is lost is asked when it is known that any was: to have each row named takes longer than to change it.
    with tx.begin_nested() as together:
        if _CONCLUDE.execute(tx, [*map(_conclusion, ordered)]).rowcount == len(ordered):
            return []
        together.rollback()
    return [outcome for outcome in ordered if not _CONCLUDE.execute(tx, [_conclusion(outcome)]).rowcount]


def _judge_hosts(tx: sa.Connection, outcomes: Sequence[Outcome]) -> None:
    before = hosts.lock_breakers(tx, {outcome.claim.host for outcome in outcomes})
    after = dict(before)
    for outcome in outcomes:
        attempt, host = outcome.attempt, outcome.claim.host
        is_well = is_host_well(attempt.status, attempt.error)
        # A host that was well and still is has nothing to be kept of it.
        if is_well is False or (is_well and host in after):
            after[host] = judge_host(after.get(host, Breaker()), is_well, attempt.ended_at)
    changed = {host: breaker for host, breaker in after.items() if breaker != before.get(host, Breaker())}
    hosts.keep_breakers(tx, changed)


def _judge_receivers(tx: sa.Connection, outcomes: Sequence[Outcome]) -> None:
    """Whose last success is how long ago; none of them has anything else in flight."""
    failed = [(each.claim, each.attempt) for each in outcomes if each.state is not DeliveryState.DELIVERED]
    taken = [outcome.claim for outcome in outcomes if outcome.state is DeliveryState.DELIVERED]
    pauses.note_well(tx, [claim for claim in taken if claim.failing_since])
    failing = pauses.note_failures(tx, failed) if failed else {}
    for claim, attempt in failed:
        if must_pause(claim.channel, failing.get(claim.subscription_id), attempt.ended_at):
            pauses.pause(tx, claim, attempt)


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


def _retire_overtaken(tx: sa.Connection, ids: Sequence[uuid.UUID]) -> None:
    """Something newer was planned while these were in flight: they are not tried again."""
    retire_followed(tx, ids)
    retire_older_states(tx, ids)


def _read_bodies(tx: sa.Connection, ids: Collection[Any]) -> dict[Any, State]:
    """Each once, however many are sent it."""
    return {row.key: State(row.body, row.media_type, None) for row in tx.execute(_BODIES, {"ids": {*ids} - {None}})}


def _claim(row: Any, until: datetime, lane: Lane, content: State | None) -> Claim:
    content = content or _GONE
    return Claim(
        delivery_id=row.id, subscription_id=row.subscription_id, owner=row.claim_owner, attempt=row.attempt,
        until=until, message_id=message_id(row.id), channel=Channel(row.channel), callback=row.callback,
        secret=row.secret, settings=_read_settings(row.settings), former_secrets=row.former_secrets,
        first_due_at=row.created_at, lane=lane, host=row.host, body=content.body, media_type=content.media_type,
        link=content.link, tries_before=row.tries_before, failing_since=row.failing_since,
    )


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
    deliveries.c.claim_owner, deliveries.c.tries_before,
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


def _conclusion(outcome: Outcome) -> dict[str, Any]:
    delivered = outcome.state is DeliveryState.DELIVERED
    return {
        "own_id": outcome.claim.delivery_id, "owner": outcome.claim.owner, "number": outcome.claim.attempt,
        "new_state": outcome.state.value, "again_at": outcome.next_attempt_at,
        "accepted_at": outcome.attempt.ended_at if delivered else None,
    }


def _attempt(outcome: Outcome) -> dict[str, Any]:
    attempt = outcome.attempt
    return {
        "delivery_id": outcome.claim.delivery_id, "number": attempt.number, "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms, "status": attempt.status, "error": attempt.error,
        "request_headers": attempt.request_headers, "response_headers": attempt.response_headers,
        "response_body": attempt.response_body,
    }


# What is fenced by owner and number, so that a late result of a claim that was lost changes nothing.
_CONCLUDE = Rows(
    {"own_id": deliveries.c.id.type, "owner": deliveries.c.claim_owner.type, "number": deliveries.c.attempt.type,
     "new_state": deliveries.c.state.type, "again_at": Instant(), "accepted_at": Instant()},
    lambda row: deliveries.update().where(
        deliveries.c.id == row["own_id"], deliveries.c.claim_owner == row["owner"],
        deliveries.c.attempt == row["number"], deliveries.c.state == DeliveryState.DUE,
    ).values(
        # Sent anew and failed, it still was delivered once.
        state=row["new_state"], delivered_at=sa.func.coalesce(row["accepted_at"], deliveries.c.delivered_at),
        next_attempt_at=row["again_at"], claim_owner=None, claim_until=None,
    ),
)
_KEEP_ATTEMPT = Rows(
    {column.name: column.type for column in attempts.c if column is not attempts.c.exchange_cleared_at},
    lambda row: attempts.insert().from_select(list(row), sa.select(*row.values())),
)
