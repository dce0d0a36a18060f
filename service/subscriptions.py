"""Standing orders: subscribe, change, end."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from service.clock import new_id
from service.config import Profile
from service.errors import Conflict, Fault, Invalid, NotFound
from service.model import ApiKey, Channel, Role, Subscription, SubscriptionState
from service.networks import AllowedNetworks, find_callback_fault, host_of
from service.schema_faults import find_line_faults, find_schema_faults, json_pointer
from service.signing import make_secret
from service.storage import Storage, Transaction, claims, deliveries, pauses, subscriptions


class NotPaused(Conflict):
    """Only a paused subscription can be resumed."""

    code = "not_paused"


class SubscriptionPaused(Conflict):
    """Nothing is sent to a subscription until it is resumed."""

    code = "subscription_paused"


class SubscriptionEnded(Conflict):
    """Nothing is sent to a subscription that has ended."""

    code = "subscription_ended"


def validate_subscription(
    document: Any, schema: str, profile: Profile, allowed: AllowedNetworks
) -> Mapping[str, Any]:
    """The document, if it meets `schema` and the newsroom has what it orders. Raises Invalid with every fault."""
    faults = [*find_schema_faults(schema, document), *find_line_faults(document, "partner")]
    if isinstance(document, dict):
        faults += _find_rule_faults(document, profile, allowed)
    if faults:
        raise Invalid(faults)
    return document


def subscribe(storage: Storage, order: Mapping[str, Any], now: datetime) -> Subscription:
    """`order` is a validated document. The subscription gets everything that goes public from now on."""
    subscription = Subscription(
        id=new_id(), partner=order["partner"], channel=Channel(order["channel"]), callback=order["callback"],
        languages=tuple(order["languages"]), categories=tuple(order.get("categories", ())),
        secret=make_secret(), state=SubscriptionState.ACTIVE, created_at=now,
    )
    with storage.write() as tx:
        subscriptions.insert_subscription(tx, subscription)
    return subscription


def change_subscription(
    storage: Storage, subscription_id: uuid.UUID, change: Mapping[str, Any], caller: ApiKey
) -> Subscription:
    """What still waits goes to the new callback, which has not failed yet. Raises NotFound."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in change.items()}
    with storage.write() as tx:
        before = _lock(tx, subscription_id, caller)
        changed = dataclasses.replace(before, **values)
        if changed.callback != before.callback:
            changed = dataclasses.replace(changed, failing_since=None)
            deliveries.move_due(tx, subscription_id, host_of(changed.callback))
        subscriptions.update_subscription(tx, changed)
    return changed


def delete_subscription(storage: Storage, subscription_id: uuid.UUID, caller: ApiKey) -> None:
    """What still waits is given up; the record of what was sent stays. Raises NotFound."""
    with storage.write() as tx:
        subscription = _lock(tx, subscription_id, caller)
        _end(tx, subscription, SubscriptionState.DELETED, "deleted")


def end_subscription(tx: Transaction, subscription_id: uuid.UUID, reason: str, callback: str | None = None) -> bool:
    """The receiver wants no more. Where `callback` is given, that one; returns whether it still is the callback."""
    subscription = subscriptions.lock_subscription(tx, subscription_id)
    if subscription and callback not in (None, subscription.callback):
        return False
    if subscription and subscription.state is SubscriptionState.ACTIVE:
        _end(tx, subscription, SubscriptionState.ENDED, reason)
    return True


def resume_subscription(
    storage: Storage, subscription_id: uuid.UUID, since: datetime | None, now: datetime, caller: ApiKey
) -> Subscription:
    """What was kept is sent, in order; with `since`, what was missed since then and nothing older but withdrawals.

    Raises NotFound or NotPaused.
    """
    with storage.write() as tx:
        subscription = _lock(tx, subscription_id, caller)
        if subscription.state is not SubscriptionState.PAUSED:
            raise NotPaused()
        resumed = dataclasses.replace(
            subscription, state=SubscriptionState.ACTIVE, failing_since=None, paused_at=None
        )
        subscriptions.update_subscription(tx, resumed)
        pauses.release(tx, subscription_id, now, since)
        pauses.notify_owner(tx, subscription_id, pauses.RESUMED, now)
    return resumed


def get_subscription(storage: Storage, subscription_id: uuid.UUID, caller: ApiKey) -> Subscription:
    """Raises NotFound, also where it is another partner's: the id must tell that partner nothing."""
    with storage.read() as tx:
        return _vet(subscriptions.find_subscription(tx, subscription_id), subscription_id, caller)


def _lock(tx: Transaction, subscription_id: uuid.UUID, caller: ApiKey) -> Subscription:
    """Whoever changes it meanwhile has to wait: else one change would undo the other."""
    return _vet(subscriptions.lock_subscription(tx, subscription_id), subscription_id, caller)


def _vet(subscription: Subscription | None, subscription_id: uuid.UUID, caller: ApiKey) -> Subscription:
    hidden = caller.role is Role.PARTNER and subscription and subscription.partner != caller.partner
    if subscription is None or hidden:
        raise NotFound(kind="subscription", id=str(subscription_id))
    return subscription


def _end(tx: Transaction, subscription: Subscription, state: SubscriptionState, reason: str) -> None:
    # Nothing is signed for it any more, so the secret goes too.
    ended = dataclasses.replace(subscription, state=state, ended_reason=reason, secret="")
    subscriptions.update_subscription(tx, ended)
    claims.abandon_due(tx, subscription.id)


def _find_rule_faults(document: Mapping[str, Any], profile: Profile, allowed: AllowedNetworks) -> Iterator[Fault]:
    callback = document.get("callback")
    if isinstance(callback, str) and (code := find_callback_fault(callback, allowed)):
        yield Fault(pointer="/callback", code=code)
    tags = [language.tag for language in profile.languages]
    known = {"languages": ("unknown_language", tags), "categories": ("unknown_category", profile.categories)}
    for member, (code, names) in known.items():
        values = document.get(member)
        for number, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str) and value not in names:
                yield Fault(pointer=json_pointer(member, number), code=code, params={"known": names})
