"""Standing orders: subscribe, change, end."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from service.clock import new_id
from service.config import Profile
from service.errors import Fault, Invalid, NotFound
from service.model import ApiKey, Channel, Role, Secret, Subscription, SubscriptionState
from service.networks import AllowedNetworks
from service.orders import find_channel_faults, patch, secret_in, settings_in
from service.schema_faults import find_line_faults, find_schema_faults, json_pointer
from service.signing import make_secret
from service.storage import Storage, Transaction, claims, subscriptions

_CHANGEABLE = ("callback", "languages", "categories")


def validate_subscription(
    document: Any, schema: str, profile: Profile, allowed: AllowedNetworks, *, channel: Channel | None = None,
    has_mail: bool = False,
) -> Mapping[str, Any]:
    """The document, if it meets `schema` and the newsroom has what it orders. Raises Invalid with every fault.

    The `channel` is that of the subscription which the document changes; an order names its own.
    """
    faults = [*find_schema_faults(schema, document), *find_line_faults(document, "partner")]
    if isinstance(document, dict):
        faults += _find_rule_faults(document, profile)
        faults += find_channel_faults(channel or document.get("channel"), document, profile, allowed, has_mail)
    if faults:
        raise Invalid(faults)
    return document


def subscribe(storage: Storage, order: Mapping[str, Any], now: datetime) -> Subscription:
    """`order` is a validated document. The subscription gets everything that goes public from now on."""
    subscription = Subscription(
        id=new_id(), partner=order["partner"], channel=Channel(order["channel"]), callback=order["callback"],
        languages=tuple(order["languages"]), categories=tuple(order.get("categories", ())),
        secret=secret_in(order) or Secret(make_secret()), settings=settings_in(order),
        state=SubscriptionState.ACTIVE, created_at=now,
    )
    with storage.write() as tx:
        subscriptions.insert_subscription(tx, subscription)
    return subscription


def change_subscription(
    storage: Storage, subscription_id: uuid.UUID, change: Mapping[str, Any], caller: ApiKey
) -> Subscription:
    """What still waits goes to the new callback. Raises NotFound."""
    settings, secret = settings_in(change), secret_in(change)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in change.items()
              if name in _CHANGEABLE}
    with storage.write() as tx:
        before = _get(tx, subscription_id, caller)
        changed = dataclasses.replace(
            before, **values, settings=patch(before.settings, settings), secret=secret or before.secret
        )
        subscriptions.update_subscription(tx, changed)
    return changed


def delete_subscription(storage: Storage, subscription_id: uuid.UUID, caller: ApiKey) -> None:
    """What still waits is given up; the record of what was sent stays. Raises NotFound."""
    with storage.write() as tx:
        subscription = _get(tx, subscription_id, caller)
        _end(tx, subscription, SubscriptionState.DELETED, "deleted")


def end_subscription(tx: Transaction, subscription_id: uuid.UUID, reason: str) -> None:
    """The receiver wants no more."""
    subscription = subscriptions.find_subscription(tx, subscription_id)
    if subscription and subscription.state is SubscriptionState.ACTIVE:
        _end(tx, subscription, SubscriptionState.ENDED, reason)


def get_subscription(storage: Storage, subscription_id: uuid.UUID, caller: ApiKey) -> Subscription:
    """Raises NotFound, also where it is another partner's: the id must tell that partner nothing."""
    with storage.read() as tx:
        return _get(tx, subscription_id, caller)


def _get(tx: Transaction, subscription_id: uuid.UUID, caller: ApiKey) -> Subscription:
    subscription = subscriptions.find_subscription(tx, subscription_id)
    hidden = caller.role is Role.PARTNER and subscription and subscription.partner != caller.partner
    if subscription is None or hidden:
        raise NotFound(kind="subscription", id=str(subscription_id))
    return subscription


def _end(tx: Transaction, subscription: Subscription, state: SubscriptionState, reason: str) -> None:
    # Nothing is signed for it any more, so the secret goes too.
    ended = dataclasses.replace(subscription, state=state, ended_reason=reason, secret=Secret(""))
    subscriptions.update_subscription(tx, ended)
    claims.abandon_due(tx, subscription.id)


def _find_rule_faults(document: Mapping[str, Any], profile: Profile) -> Iterator[Fault]:
    tags = [language.tag for language in profile.languages]
    known = {"languages": ("unknown_language", tags), "categories": ("unknown_category", profile.categories)}
    for member, (code, names) in known.items():
        values = document.get(member)
        for number, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str) and value not in names:
                yield Fault(pointer=json_pointer(member, number), code=code, params={"known": names})
