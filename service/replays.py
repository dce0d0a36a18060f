"""Sending once more: one delivery, or all since a time to one subscription."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from service.clock import Clock, new_id
from service.config import Profile
from service.deliveries import Bodies, find_shown, make_row, wants
from service.errors import Conflict, Fault, Invalid, NotFound
from service.model import ApiKey, Delivery, DeliveryState, Event, EventType, Replay, Role, Subscription
from service.model import SubscriptionState as State
from service.networks import host_of
from service.schema_faults import find_schema_faults
from service.storage import Storage, Transaction, deliveries, events, replays, subscriptions
from service.subscriptions import SubscriptionEnded, SubscriptionPaused, require_no_topic
from service.validation import read_moment

# Events that are planned in one transaction.
BATCH = 200
# Of all subscriptions of a partner.
MOST_OPEN = 5


class Overtaken(Conflict):
    """Something newer of the same release is public, and is what the partner gets."""

    code = "overtaken"


class ReplayRunning(Conflict):
    """A subscription has one replay at a time. ``replay`` is the one that runs."""

    code = "replay_running"


class TooManyReplays(Conflict):
    """A partner has only so many, ``limit``, over all its subscriptions."""

    code = "too_many_replays"


def validate_since(document: Any, schema: str) -> datetime | None:
    """The document's `since`, if it is there. Raises Invalid with every fault."""
    if faults := find_schema_faults(schema, document):
        raise Invalid(faults)
    return read_moment(document["since"]) if "since" in document else None


def redeliver(storage: Storage, delivery_id: uuid.UUID, now: datetime, caller: ApiKey) -> Delivery:
    """The same delivery is due again, under the same message id, so that a partner who has it can tell.

    Raises NotFound, SubscriptionEnded, SubscriptionPaused or Overtaken.
    """
    with storage.write() as tx:
        delivery = deliveries.find_delivery(tx, delivery_id)
        if delivery is None:
            raise NotFound(kind="delivery", id=str(delivery_id))
        # In the order of the planning, so that neither waits for the other.
        if delivery.release_id:
            events.lock_public(tx, delivery.release_id)
        _lock_sendable(tx, delivery.subscription_id, caller, NotFound(kind="delivery", id=str(delivery_id)))
        if delivery.state is DeliveryState.SUPERSEDED or deliveries.has_newer(tx, delivery_id):
            raise Overtaken()
        deliveries.send_anew(tx, delivery_id, now)
        due = deliveries.find_delivery(tx, delivery_id)
    assert due
    return due


def start_replay(
    storage: Storage, subscription_id: uuid.UUID, since: datetime, now: datetime, caller: ApiKey
) -> Replay:
    """Planned by a worker.

    Raises Invalid for a time to come, NotFound, SubscriptionEnded, SubscriptionPaused, ReplayRunning or TooManyReplays,
    and HeldByHub for a WebSub subscription: it is owed a feed, and no release of its own.
    """
    if since > now:
        raise Invalid([Fault(pointer="/since", code="future_since")])
    replay = Replay(id=new_id(), subscription_id=subscription_id, since=since, created_at=now)
    with storage.write() as tx:
        missing = NotFound(kind="subscription", id=str(subscription_id))
        require_no_topic(_lock_sendable(tx, subscription_id, caller, missing))
        running = replays.find_open(tx, subscription_id)
        if running and not _finish(tx, running, now):
            raise ReplayRunning(replay=str(running.id))
        if replays.count_open(tx, subscription_id) >= MOST_OPEN:
            raise TooManyReplays(limit=MOST_OPEN)
        replays.insert_replay(tx, replay)
    return replay


def get_replay(storage: Storage, subscription: Subscription, replay_id: uuid.UUID) -> Replay:
    """Raises NotFound."""
    with storage.read() as tx:
        replay = replays.find_replay(tx, replay_id)
    if replay is None or replay.subscription_id != subscription.id:
        raise NotFound(kind="replay", id=str(replay_id))
    return replay


def plan_replays(storage: Storage, profile: Profile, clock: Clock) -> Iterator[int]:
    """Have all that is to be sent once more due: a batch of each replay in turn, however far back one reaches.

    Gives how many events each batch looked at; between two, the caller may do what can't wait.
    """
    with storage.read() as tx:
        running = [replay.id for replay in replays.list_open(tx)]
    while running:
        unfinished = []
        for replay_id in running:
            if looked_at := _plan_batch(storage, profile, replay_id, clock()):
                unfinished.append(replay_id)
                yield looked_at
            else:
                _finish_planned(storage, replay_id, clock())
        running = unfinished


def _finish_planned(storage: Storage, replay_id: uuid.UUID, now: datetime) -> None:
    with storage.write() as tx:
        if (replay := replays.find_replay(tx, replay_id)) and not replay.finished_at:
            _finish(tx, replay, now)


def _plan_batch(storage: Storage, profile: Profile, replay_id: uuid.UUID, now: datetime) -> int:
    with storage.write() as tx:
        replay = replays.lock_unplanned(tx, replay_id)
        if replay is None:
            return 0
        subscription = subscriptions.find_steady(tx, replay.subscription_id)
        stands = subscription and subscription.state in (State.ACTIVE, State.PAUSED)
        found = replays.list_events(tx, replay, limit=BATCH) if stands else []
        for event in found:
            assert subscription
            _send(tx, replay, subscription, event, profile, now)
        if found:
            replay = dataclasses.replace(replay, after_at=found[-1].created_at, after_id=found[-1].id)
        else:
            replay = dataclasses.replace(replay, planned_at=now)
        replays.update_replay(tx, replay)
    return len(found)


def _send(
    tx: Transaction, replay: Replay, subscription: Subscription, event: Event, profile: Profile, now: datetime
) -> None:
    assert event.release_id
    # As in planning: a withdrawal that comes in the same moment must see whom this has sent something.
    events.lock_public(tx, event.release_id)
    release = find_shown(tx, event)
    if release is None or replays.send_again(tx, replay, event, now):
        return
    if event.type is not EventType.RELEASE_WITHDRAWN and wants(subscription.order, release):
        payload_id = Bodies(tx, event, release, profile).find_id(subscription.order)
        host, is_kept = host_of(subscription.callback), subscription.state is State.PAUSED
        row = make_row(subscription.id, host, payload_id)
        deliveries.insert_deliveries(tx, event, [row], now, is_kept=is_kept, replay_id=replay.id)


def _finish(tx: Transaction, replay: Replay, now: datetime) -> bool:
    """Keep the figures of one that has sent all; whether it has."""
    if replay.planned_at is None or replay.remaining:
        return False
    replays.update_replay(tx, dataclasses.replace(replay, finished_at=now))
    return True


def _lock_sendable(tx: Transaction, subscription_id: uuid.UUID, caller: ApiKey, missing: NotFound) -> Subscription:
    subscription = subscriptions.lock_subscription(tx, subscription_id)
    hidden = caller.role is Role.PARTNER and subscription and subscription.partner != caller.partner
    if subscription is None or hidden:
        raise missing
    if subscription.state is State.PAUSED:
        raise SubscriptionPaused()
    if subscription.state is not State.ACTIVE:
        raise SubscriptionEnded()
    return subscription
