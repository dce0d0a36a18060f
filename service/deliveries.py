"""What each subscription is owed, and planning it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.clock import Clock, new_id
from service.config import Profile
from service.model import (
    Delivery,
    Event,
    EventType,
    Format,
    Release,
    Subscription,
    SubscriptionState,
    Variant,
)
from service.networks import host_of
from service.payloads import choose_variant, make_payload, test_payload
from service.storage import Storage, Transaction, claims, deliveries, events, releases, subscriptions

PLAN_BATCH = 50
SUBSCRIPTION_BATCH = 1000


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
        release = find_shown(tx, event)
        if release is None:
            return 0
        # First of all, so that a courier either has one of these already, and is counted, or gets none.
        claims.retire_waiting(tx, release.id)
        bodies = Bodies(tx, event, release, profile)
        count = 0
        for batch in subscriptions.batch_standing(tx, size=SUBSCRIPTION_BATCH):
            owed = _list_owed(tx, event, release, batch)
            rows = [make_row(subscription, bodies.find_id(subscription)) for subscription in owed]
            deliveries.insert_deliveries(tx, event, rows, now)
            count += len(rows)
    return count


def make_row(subscription: Subscription, payload_id: uuid.UUID) -> dict[str, Any]:
    host = host_of(subscription.callback)
    is_kept = subscription.state is SubscriptionState.PAUSED
    return {
        "id": new_id(), "subscription_id": subscription.id, "payload_id": payload_id, "host": host, "is_kept": is_kept
    }


def find_shown(tx: Transaction, event: Event) -> Release | None:
    """The release as the event showed it; None where a later event has shown more already."""
    if event.release_id is None or event.revision is None:
        return None
    release = releases.find_revision(tx, event.release_id, event.revision)
    overtaken = release and (
        release.public_revision != event.revision
        or (release.withdrawn_at and event.type is not EventType.RELEASE_WITHDRAWN)
    )
    return None if overtaken or release is None else _name_successor(tx, release)


def _name_successor(tx: Transaction, release: Release) -> Release:
    """Nobody outside can ask what an id stands for, so that release is named as its pages are."""
    withdrawal = release.withdrawal
    if withdrawal is None or withdrawal.superseded_by is None:
        return release
    for successor in releases.list_public(tx, [withdrawal.superseded_by]):
        named = replace(withdrawal, successor_slug=successor.slug, successor_languages=successor.languages)
        return replace(release, withdrawal=named)
    return release


def _list_owed(
    tx: Transaction, event: Event, release: Release, batch: Sequence[Subscription]
) -> Iterator[Subscription]:
    """Whoever ordered it; of a withdrawal, whoever was sent any revision, whatever the order now says."""
    told = set()
    if event.type is not EventType.RELEASE_PUBLISHED:
        told = deliveries.list_told(tx, release.id, batch[0].id, batch[-1].id)
    for subscription in batch:
        ordered = event.type is not EventType.RELEASE_WITHDRAWN and wants(subscription, release)
        if ordered or subscription.id in told:
            yield subscription


class Bodies:
    """The bytes of one event, written once for all subscriptions that get the same."""

    def __init__(self, tx: Transaction, event: Event, release: Release, profile: Profile) -> None:
        self._tx, self._event, self._release, self._profile = tx, event, release, profile
        self._ids: dict[Variant, uuid.UUID] = {}

    def find_id(self, subscription: Subscription) -> uuid.UUID:
        variant = choose_variant(self._event, subscription, self._release)
        if variant not in self._ids:
            self._ids[variant] = self._find(variant) or self._insert(variant)
        return self._ids[variant]

    def _find(self, variant: Variant) -> uuid.UUID | None:
        return deliveries.find_payload(self._tx, self._event.id, variant)

    def _insert(self, variant: Variant) -> uuid.UUID:
        payload_id, payload = new_id(), make_payload(self._event, self._release, variant, self._profile)
        deliveries.insert_payload(self._tx, payload_id, self._event.id, variant, payload)
        return payload_id


def plan_test(storage: Storage, subscription: Subscription, now: datetime) -> Delivery:
    """A signed ping to one subscription, owed like anything else."""
    event = Event(id=new_id(), type=EventType.SUBSCRIPTION_TEST, created_at=now)
    payload_id = new_id()
    row = make_row(subscription, payload_id)
    with storage.write() as tx:
        events.insert_event(tx, event, published_at=now)
        variant = Variant(Format.DIGLOT, ())
        deliveries.insert_payload(tx, payload_id, event.id, variant, test_payload(event, subscription))
        deliveries.insert_deliveries(tx, event, [row], now)
        delivery = deliveries.find_delivery(tx, row["id"])
    assert delivery
    return delivery


def wants(subscription: Subscription, release: Release) -> bool:
    """Whether the release falls under the standing order: a language and, where any are named, a category."""
    has_language = any(release.edition(language) for language in subscription.languages)
    return has_language and (
        not subscription.categories or not set(subscription.categories).isdisjoint(release.categories)
    )
