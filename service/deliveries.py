"""What each subscription is owed: planning, and the decision after an attempt."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from service.clock import Clock, new_id
from service.config import Profile
from service.model import (
    Delivery,
    DeliveryState,
    Event,
    EventType,
    Format,
    Release,
    Subscription,
    Variant,
)
from service.payloads import choose_variant, make_payload, test_payload
from service.storage import Storage, Transaction, claims, deliveries, events, releases, subscriptions

# Before the next try, after the n-th has failed: three days in all. Jitter is only ever added.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (
    5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600,
))
JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)
# From the first name's look-up to the last byte, however many requests a channel makes.
ATTEMPT_SECONDS = 15.0
# Longer than an attempt may last, so that a live worker's claim never runs out.
CLAIM = timedelta(seconds=20)
PLAN_BATCH = 50


@dataclass(frozen=True, slots=True)
class Decision:
    """A delivery's fate after an attempt. ``ends_subscription`` is the receiver's 410."""

    state: DeliveryState
    next_attempt_at: datetime | None = None
    ends_subscription: bool = False


def decide(
    attempt: int, status: int | None, headers: Mapping[str, str], now: datetime, chance: random.Random
) -> Decision:
    """What follows from the `attempt`-th answer; `status` is None where there was none.

    Standard Webhooks 1.0.0: 2xx is success, 410 ends the subscription. Redirects are never
    followed, but like network faults, 429 and 5xx they can heal; other 4xx can't.
    """
    if status is not None and 200 <= status < 300:
        return Decision(DeliveryState.DELIVERED)
    if status == 410:
        return Decision(DeliveryState.ABANDONED, ends_subscription=True)
    heals = status is None or status == 429 or status < 400 or status >= 500
    if not heals or attempt > len(WAITS):
        return Decision(DeliveryState.ABANDONED)
    wait = WAITS[attempt - 1] * (1 + JITTER * chance.random())
    return Decision(DeliveryState.DUE, now + max(wait, _retry_after(headers.get("retry-after"), now)))


def _retry_after(value: str | None, now: datetime) -> timedelta:
    """RFC 9110 section 10.2.3: seconds or a date; nonsense and the past count as no wait."""
    if not value:
        return timedelta()
    if value.isascii() and value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return timedelta()
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(timedelta(), min(date - now, LONGEST_RETRY_AFTER))


def plan_due(storage: Storage, profile: Profile, clock: Clock) -> int:
    """Write a delivery row for each subscription that is owed a public event. Returns how many rows."""
    with storage.read() as tx:
        waiting = events.list_unplanned(tx, limit=PLAN_BATCH)
    return sum(_plan(storage, profile, event, clock()) for event in waiting)


def _plan(storage: Storage, profile: Profile, event: Event, now: datetime) -> int:
    """One event in one transaction: either all of its deliveries are written, or none."""
    with storage.write() as tx:
        if event.release_id:
            events.lock_public(tx, event.release_id)
        if not events.mark_planned(tx, event.id, now):
            return 0
        release = _find_shown(tx, event)
        if release is None:
            return 0
        # First of all, so that a courier either has one of these already, and is counted, or gets none.
        claims.retire_waiting(tx, release.id)
        owed = {s.id: choose_variant(event, s, release) for s in _list_owed(tx, event, release)}
        bodies = _insert_payloads(tx, event, release, set(owed.values()), profile)
        rows = [{"id": new_id(), "subscription_id": id, "payload_id": bodies[owed[id]]} for id in owed]
        deliveries.insert_deliveries(tx, event, rows, now)
    return len(rows)


def _find_shown(tx: Transaction, event: Event) -> Release | None:
    """The release as the event showed it; None where a later event has shown more already."""
    if event.release_id is None or event.revision is None:
        return None
    release = releases.find_revision(tx, event.release_id, event.revision)
    overtaken = release and (
        release.public_revision != event.revision
        or (release.withdrawn_at and event.type is not EventType.RELEASE_WITHDRAWN)
    )
    return None if overtaken else release


def _list_owed(tx: Transaction, event: Event, release: Release) -> Iterator[Subscription]:
    """Whoever ordered it; of a withdrawal, whoever was sent any revision, whatever the order now says."""
    told = deliveries.list_told(tx, release.id) if event.type is not EventType.RELEASE_PUBLISHED else set()
    for subscription in subscriptions.list_active(tx):
        ordered = event.type is not EventType.RELEASE_WITHDRAWN and wants(subscription, release)
        if ordered or subscription.id in told:
            yield subscription


def _insert_payloads(
    tx: Transaction, event: Event, release: Release, variants: Iterable[Variant], profile: Profile
) -> dict[Variant, Any]:
    ids = {}
    for variant in variants:
        ids[variant] = new_id()
        deliveries.insert_payload(
            tx, ids[variant], event.id, variant, make_payload(event, release, variant, profile)
        )
    return ids


def plan_test(storage: Storage, subscription: Subscription, now: datetime) -> Delivery:
    """A signed ping to one subscription, owed like anything else."""
    event = Event(id=new_id(), type=EventType.SUBSCRIPTION_TEST, created_at=now)
    delivery_id, payload_id = new_id(), new_id()
    with storage.write() as tx:
        events.insert_event(tx, event, published_at=now)
        variant = Variant(Format.DIGLOT, ())
        deliveries.insert_payload(tx, payload_id, event.id, variant, test_payload(event, subscription))
        row = {"id": delivery_id, "subscription_id": subscription.id, "payload_id": payload_id}
        deliveries.insert_deliveries(tx, event, [row], now)
        delivery = deliveries.find_delivery(tx, delivery_id)
    assert delivery
    return delivery


def wants(subscription: Subscription, release: Release) -> bool:
    """Whether the release falls under the standing order: a language and, where any are named, a category."""
    has_language = any(release.edition(language) for language in subscription.languages)
    return has_language and (
        not subscription.categories or not set(subscription.categories).isdisjoint(release.categories)
    )
