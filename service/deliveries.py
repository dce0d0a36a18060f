"""What each subscription is owed, and planning it."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.clock import Clock, new_id
from service.config import Profile
from service.errors import DiglotError
from service.model import (
    Delivery,
    Event,
    EventType,
    Format,
    Order,
    Release,
    Standing,
    Subscription,
    SubscriptionState,
    Variant,
)
from service.networks import host_of
from service.payloads import choose_variant, make_payload, test_payload
from service.storage import Storage, Transaction, claims, deliveries, events, releases, subscriptions

log = logging.getLogger(__name__)

# So many that whoever writes beside it waits for a fraction of a second; of an event's first, as many as two couriers
# begin with, who send to these while the others are planned.
SUBSCRIPTION_BATCH, FIRST_BATCH = 4000, 2000


def plan_due(storage: Storage, profile: Profile, clock: Clock) -> int:
    """Write a delivery row for each subscription that is owed a public event. Returns how many rows."""
    return sum(plan_parts(storage, profile, clock))


def plan_parts(storage: Storage, profile: Profile, clock: Clock) -> Iterator[int]:
    """The same in parts, each a transaction of its own. Yields how many rows each has written.

    Subscriptions have their turn in the order of their ids, and whoever stood when the event went public has one. What
    it orders then decides, and whether it is paused; whoever subscribes meanwhile may have a turn too. What goes public
    between two parts is planned as well, a withdrawal before anything else. An event that can't be planned is left for
    the next time, and keeps none behind it waiting. Raises StorageUnavailable.
    """
    left: set[uuid.UUID] = set()
    while event := _find_unplanned(storage, left):
        try:
            count, is_last = _plan_part(storage, profile, event, clock())
        except DiglotError:
            raise
        except Exception:
            log.exception("event %s can't be planned", event.id)
            left.add(event.id)
            continue
        yield count
        if not is_last:
            storage.give_way()


def _find_unplanned(storage: Storage, left: Collection[uuid.UUID]) -> Event | None:
    with storage.read() as tx:
        return events.find_unplanned(tx, but=left)


def _plan_part(storage: Storage, profile: Profile, event: Event, now: datetime) -> tuple[int, bool]:
    """From where the last part ended, whoever planned it. Also returns whether everybody's turn has come."""
    assert event.release_id
    with storage.write() as tx:
        events.lock_public(tx, event.release_id)
        place = events.find_place(tx, event.id)
        if place is None:
            return 0, True
        release = find_shown(tx, event)
        size = SUBSCRIPTION_BATCH if place.int else FIRST_BATCH
        batch = subscriptions.list_standing(tx, after=place, limit=size) if release else []
        count = _owe(tx, event, release, place, batch, profile, now) if release and batch else 0
        is_last = len(batch) < size
        if is_last:
            events.mark_planned(tx, event.id, now)
        else:
            events.mark_planned_to(tx, event.id, batch[-1].id)
    return count, is_last


def _owe(
    tx: Transaction, event: Event, release: Release, place: uuid.UUID, batch: Sequence[Standing], profile: Profile,
    now: datetime,
) -> int:
    # First of all, so that a courier either has one of these already, and is counted, or gets none.
    claims.retire_waiting(tx, release.id, place, batch[-1].id)
    bodies = Bodies(tx, event, release, profile)
    owed = list(_list_owed(tx, event, release, batch))
    for is_paused in (False, True):
        rows = [
            make_row(each.id, each.host, bodies.find_id(each.order)) for each in owed if each.is_paused is is_paused
        ]
        deliveries.insert_deliveries(tx, event, rows, now, is_kept=is_paused)
    return len(owed)


def make_row(subscription_id: uuid.UUID, host: str, payload_id: uuid.UUID | None) -> dict[str, Any]:
    """As `insert_deliveries` takes it; without a payload, a topic's document is sent as it then is."""
    return {"id": new_id(), "subscription_id": subscription_id, "payload_id": payload_id, "host": host}


def find_shown(tx: Transaction, event: Event) -> Release | None:
    """The release as the event showed it; None where a later event has shown more already."""
    if event.release_id is None or event.revision is None:
        return None
    release = releases.find_revision(tx, event.release_id, event.revision)
    overtaken = release and (
        release.public_revision != event.revision
        or (release.withdrawn_at and event.type is not EventType.RELEASE_WITHDRAWN)
    )
    return None if overtaken or release is None else _name_successor(tx, _with_earlier_notes(tx, event, release))


def _with_earlier_notes(tx: Transaction, event: Event, release: Release) -> Release:
    """What readers never saw by itself is noted with what they see now."""
    between = release.revision - event.after_revision - 1 if event.after_revision else 0
    if between <= 0:
        return release
    newest_first = releases.list_revisions(tx, release.id, limit=between, before=release.revision)
    return replace(release, earlier_notes=tuple(each.release.change_note for each in reversed(newest_first)))


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
    tx: Transaction, event: Event, release: Release, batch: Sequence[Standing]
) -> Iterator[Standing]:
    """Whoever ordered it; of a withdrawal, whoever was sent any revision, whatever the order now says."""
    told = set()
    if event.type is not EventType.RELEASE_PUBLISHED:
        told = deliveries.list_told(tx, release.id, batch[0].id, batch[-1].id)
    wanted = functools.cache(lambda order: event.type is not EventType.RELEASE_WITHDRAWN and wants(order, release))
    for standing in batch:
        if standing.id in told or wanted(standing.order):
            yield standing


class Bodies:
    """The bytes of one event, written once for all subscriptions that get the same."""

    def __init__(self, tx: Transaction, event: Event, release: Release, profile: Profile) -> None:
        self._tx, self._event, self._release, self._profile = tx, event, release, profile
        self._ids: dict[Order, uuid.UUID] = {}

    def find_id(self, order: Order) -> uuid.UUID:
        if order not in self._ids:
            variant = choose_variant(self._event, order, self._release)
            self._ids[order] = self._find(variant) or self._insert(variant)
        return self._ids[order]

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
    is_kept = subscription.state is SubscriptionState.PAUSED
    row = make_row(subscription.id, host_of(subscription.callback), payload_id)
    with storage.write() as tx:
        events.insert_event(tx, event, published_at=now)
        variant = Variant(Format.DIGLOT, ())
        deliveries.insert_payload(tx, payload_id, event.id, variant, test_payload(event, subscription))
        deliveries.insert_deliveries(tx, event, [row], now, is_kept=is_kept)
        delivery = deliveries.find_delivery(tx, row["id"])
    assert delivery
    return delivery


def wants(order: Order, release: Release) -> bool:
    """Whether the release falls under the standing order: a language and, where any are named, a category."""
    has_language = any(release.edition(language) for language in order.languages)
    return has_language and (not order.categories or not set(order.categories).isdisjoint(release.categories))
