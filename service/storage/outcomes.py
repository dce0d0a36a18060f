"""What attempts came to: each on record, its delivery's next state, and what it says of host and receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from service.model import Attempt, Claim, DeliveryState, record
from service.retries import Breaker, is_host_well, judge_host, must_pause
from service.storage import hosts, pauses
from service.storage.abandoned import note_abandoned
from service.storage.overtaken import retire_returned
from service.storage.sets import Packed, Rows
from service.storage.subscriptions import hold
from service.storage.tables import Instant, attempts, deliveries


@record(kw_only=True)
class Outcome:
    """What an attempt came to: the delivery's next state, and when to try again if it is still due.

    Before ``holds_until`` the receiver wants nothing at all; ``ends_subscription`` is its 410.
    """

    claim: Claim
    attempt: Attempt
    state: DeliveryState
    next_attempt_at: datetime | None
    holds_until: datetime | None = None
    ends_subscription: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Outcomes in the order in which they came, and as they are written down."""

    outcomes: Sequence[Outcome]
    conclusions: Packed
    attempts: Packed


def make_report(outcomes: Iterable[Outcome], dialect: sa.Dialect) -> Report:
    """Takes as long as to record them, and needs no transaction: on SQLite, nobody else writes during one."""
    outcomes = list(outcomes)
    conclusions = _CONCLUDE.pack(map(_conclusion, _by_id(outcomes)), dialect)
    return Report(outcomes, conclusions, _KEEP_ATTEMPT.pack(map(_attempt, outcomes), dialect))


def _by_id(outcomes: Iterable[Outcome]) -> list[Outcome]:
    # In one order, so that two workers which report on the same rows don't wait for each other.
    return sorted(outcomes, key=attrgetter("claim.delivery_id.int"))


def record_outcomes(tx: sa.Connection, report: Report) -> list[Outcome]:
    """Write down finished attempts; returns those whose claim was lost meanwhile, of which nothing is kept."""
    if lost := _conclude(tx, report):
        report = make_report((outcome for outcome in report.outcomes if outcome not in lost), tx.dialect)
    if report.outcomes:
        _KEEP_ATTEMPT.write(tx, report.attempts)
        _learn(tx, report.outcomes)
    return lost


def _learn(tx: sa.Connection, kept: Sequence[Outcome]) -> None:
    """What else they say of deliveries, hosts and receivers."""
    if again := [outcome.claim.delivery_id for outcome in kept if outcome.state is DeliveryState.DUE]:
        retire_returned(tx, again)
    _judge_hosts(tx, kept)
    _judge_receivers(tx, kept)
    for outcome in kept:
        if outcome.holds_until:
            hold(tx, outcome.claim.subscription_id, outcome.claim.callback, outcome.holds_until)
    if abandoned := [each for each in kept if each.state is DeliveryState.ABANDONED]:
        note_abandoned(tx, {each.claim.delivery_id: each.attempt for each in abandoned})


def _conclude(tx: sa.Connection, report: Report) -> list[Outcome]:
    """Returns those whose claim was lost."""
    if not report.outcomes:
        return []
    # Whose claim is lost is asked when it is known that any was: to have each row named takes longer than to change it.
    with tx.begin_nested() as together:
        if _CONCLUDE.write(tx, report.conclusions).rowcount == len(report.outcomes):
            return []
        together.rollback()
    return [each for each in _by_id(report.outcomes) if not _CONCLUDE.execute(tx, [_conclusion(each)]).rowcount]


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
