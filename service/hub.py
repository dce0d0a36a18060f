"""The WebSub hub: takes requests, keeps what subscribers have confirmed, and owes them what changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from service import websub
from service.clock import Clock, new_id
from service.config import Profile
from service.deliveries import make_row
from service.feeds import list_topics
from service.model import (
    Channel,
    Document,
    Event,
    EventType,
    Intent,
    IntentMode,
    IntentState,
    Subscription,
    SubscriptionState,
)
from service.storage import Storage, Transaction, deliveries, events
from service.storage import subscriptions as stored
from service.storage import websub as asked
from service.subscriptions import end_subscription

PLAN_BATCH = 2000
EXPIRY_BATCH = 500
# Longer than budgets count back, for whoever wants to know what became of a request.
REMEMBERED = timedelta(days=7)


def accept_intent(storage: Storage, intent: Intent) -> None:
    """Keep the request, for its callback to be asked. Raises TooManyVerifications."""
    with storage.write() as tx:
        _spend_budget(tx, intent)
        asked.insert_intent(tx, intent)


def _spend_budget(tx: Transaction, intent: Intent) -> None:
    now, host = intent.created_at, intent.host
    since = now - websub.BUDGET_PERIOD
    is_known = asked.find_subscriber(tx, intent.topic, intent.callback) is not None
    if is_known and len(asked.list_moments(tx, intent, since, now, alone=True)) < websub.MOST_RENEWALS_AN_HOUR:
        return
    moments = asked.list_moments(tx, intent, since, now)
    if len(moments) >= websub.MOST_AN_HOUR:
        wait = (moments[-websub.MOST_AN_HOUR] + websub.BUDGET_PERIOD - now).total_seconds()
        raise websub.TooManyVerifications(host=host, wait_seconds=int(wait) + 1)
    joins = intent.mode is IntentMode.SUBSCRIBE and not is_known
    if (
        asked.count_waiting(tx, host=host) >= websub.MOST_WAITING
        or asked.count_waiting(tx) >= websub.MOST_WAITING_IN_ALL
        or (joins and asked.count_subscriptions(tx, _partner(host)) >= websub.MOST_SUBSCRIPTIONS)
    ):
        raise websub.TooManyVerifications(host=host, wait_seconds=websub.PAUSE_SECONDS)


def settle_intent(
    storage: Storage, profile: Profile, intent: Intent, state: IntentState, next_attempt_at: datetime | None,
    now: datetime,
) -> bool:
    """Keep what came of asking, and do what was confirmed. False where the claim was lost: nothing is kept then."""
    with storage.write() as tx:
        if not asked.conclude_intent(tx, intent, state, next_attempt_at):
            return False
        if state is IntentState.VERIFIED and not asked.is_overtaken(tx, intent, now):
            _do(tx, profile, intent, now)
    return True


def _do(tx: Transaction, profile: Profile, intent: Intent, now: datetime) -> None:
    before = asked.find_subscriber(tx, intent.topic, intent.callback)
    topic = list_topics(profile).get(intent.topic)
    if intent.mode is IntentMode.SUBSCRIBE and topic:
        lease_until = now + timedelta(seconds=intent.lease_seconds)
        if before:
            renewed = dataclasses.replace(before, secret=intent.secret, lease_until=lease_until)
            stored.update_subscription(tx, renewed)
        else:
            language, category = topic
            categories = (category,) if category else ()
            stored.insert_subscription(tx, Subscription(
                id=new_id(), partner=_partner(intent.host), channel=Channel.WEBSUB, callback=intent.callback,
                languages=(language.tag,), categories=categories, secret=intent.secret,
                state=SubscriptionState.ACTIVE, created_at=now, topic=intent.topic, lease_until=lease_until,
            ))
    elif intent.mode is IntentMode.UNSUBSCRIBE and before:
        end_subscription(tx, before.id, "unsubscribed")


def _partner(host: str) -> str:
    """A name of DNS may be longer than that of a partner."""
    return host[:200]


def announce(tx: Transaction, changed: Iterable[Document], second: datetime, now: datetime) -> None:
    """In the swap that changes the documents: their subscribers are owed it. `second` is that of the swap."""
    if asked.has_subscribers(tx, [document.path for document in changed]):
        event = Event(id=new_id(), type=EventType.FEED_CHANGED, created_at=second)
        events.insert_event(tx, event, published_at=now, is_planned=False)


def retire_topics(tx: Transaction, paths: Iterable[str], now: datetime) -> None:
    """In the swap that removes the documents: their subscribers are told that there will be no more."""
    for subscription in asked.list_subscribers(tx, paths):
        asked.insert_intent(tx, websub.deny(subscription, "topic_gone", now))
        end_subscription(tx, subscription.id, "topic_gone")


def plan_feeds(storage: Storage, clock: Clock) -> int:
    """Write a delivery row for each subscriber of a feed that has changed. Returns how many rows."""
    with storage.read() as tx:
        waiting = events.list_unplanned_feeds(tx, limit=100)
    planned = 0
    for event in waiting:
        while count := _plan_batch(storage, event, clock()):
            planned += count
            if count == PLAN_BATCH:
                storage.give_way()
    return planned


def _plan_batch(storage: Storage, event: Event, now: datetime) -> int:
    """So many at once that nobody waits long for the database, from where the last batch ended."""
    with storage.write() as tx:
        place = events.lock_place(tx, event.id)
        if place is None:
            return 0
        owed = asked.list_owed(tx, event, now, after=place, limit=PLAN_BATCH)
        if owed:
            asked.retire_waiting(tx, owed)
            rows = [make_row(id, host, None) for id, host in owed.items()]
            deliveries.insert_deliveries(tx, event, rows, now)
            events.mark_planned_to(tx, event.id, max(owed))
        else:
            events.mark_planned(tx, event.id, now)
    return len(owed)


def end_expired(storage: Storage, now: datetime) -> int:
    """Leases are kept to the letter (section 5.3); old requests are forgotten. Returns how many leases were over."""
    with storage.read() as tx:
        expired: Sequence[Subscription] = asked.list_expired(tx, now, limit=EXPIRY_BATCH)
        old = asked.has_settled(tx, now - REMEMBERED)
    if expired or old:
        with storage.write() as tx:
            for subscription in expired:
                _end_lease(tx, subscription, now)
            asked.forget_intents(tx, now - REMEMBERED)
    return len(expired)


def _end_lease(tx: Transaction, subscription: Subscription, now: datetime) -> None:
    """Unless it was renewed meanwhile."""
    assert subscription.topic
    current = asked.find_subscriber(tx, subscription.topic, subscription.callback)
    if current and current.lease_until and current.lease_until <= now:
        end_subscription(tx, current.id, "lease_over")
