"""Standing orders: subscribe, change, end."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from service.clock import new_id
from service.config import Profile
from service.errors import Conflict, Fault, Invalid, NotFound, SecretUnreadable
from service.model import (
    NO_SECRET,
    STANDING,
    ApiKey,
    Channel,
    Format,
    LanguageChoice,
    NoticeType,
    Role,
    Secret,
    Signature,
    Subscription,
    SubscriptionState,
)
from service.networks import AllowedNetworks, host_of
from service.orders import find_channel_faults, patch, secret_in, settings_in
from service.retries import GONE
from service.schema_faults import find_line_faults, find_schema_faults, json_pointer
from service.signing import OVERLAP, find_public_key, make_private_key, make_secret, retire_secret
from service.storage import Storage, Transaction, claims, deliveries, pauses, subscriptions, websub
from service.websub import deny


class HeldByHub(Conflict):
    """A WebSub subscription changes by what its subscriber confirms, and in no other way."""

    code = "held_by_hub"


class NotPaused(Conflict):
    """Only a paused subscription can be resumed."""

    code = "not_paused"


class SubscriptionPaused(Conflict):
    """Nothing is sent to a subscription until it is resumed."""

    code = "subscription_paused"


class SubscriptionEnded(Conflict):
    """Nothing is sent to a subscription that has ended."""

    code = "subscription_ended"


class NothingToRotate(Conflict):
    """This ``channel`` signs nothing by a secret of ours."""

    code = "nothing_to_rotate"


_CHANGEABLE = ("callback", "languages", "language_choice", "format", "categories")


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
        if document.get("channel") == Channel.WEBHOOK:
            choice = document.get("language_choice", LanguageChoice.ALL)
            faults += _find_entry_faults(document.get("format"), choice, document.get("languages"))
        faults += find_channel_faults(channel or document.get("channel"), document, profile, allowed, has_mail)
    if faults:
        raise Invalid(faults)
    return document


def subscribe(storage: Storage, order: Mapping[str, Any], now: datetime) -> Subscription:
    """`order` is a validated document. The subscription gets everything that goes public from now on."""
    secret = _make_secret(Signature(order.get("signature", Signature.HMAC)))
    subscription = Subscription(
        id=new_id(), partner=order["partner"], channel=Channel(order["channel"]), callback=order["callback"],
        languages=tuple(order["languages"]), format=Format(order.get("format", Format.DIGLOT)),
        language_choice=LanguageChoice(order.get("language_choice", LanguageChoice.ALL)),
        categories=tuple(order.get("categories", ())), settings=settings_in(order),
        secret=secret_in(order) or Secret(secret), public_key=find_public_key(secret),
        state=SubscriptionState.ACTIVE, created_at=now,
    )
    with storage.write() as tx:
        subscriptions.insert_subscription(tx, subscription)
    return subscription


def change_subscription(
    storage: Storage, subscription_id: uuid.UUID, change: Mapping[str, Any], caller: ApiKey
) -> Subscription:
    """What still waits goes to the new callback, which has not failed yet.

    Raises NotFound, HeldByHub for a WebSub subscription, and Invalid where the whole contradicts itself.
    """
    settings, secret = settings_in(change), secret_in(change)
    values = {name: _KINDS.get(name, _as_kept)(value) for name, value in change.items() if name in _CHANGEABLE}
    with storage.write() as tx:
        subscription = _lock(tx, subscription_id, caller)
        require_no_topic(subscription)
        changed = dataclasses.replace(
            subscription, **values, settings=patch(subscription.settings, settings),
            secret=secret or subscription.secret,
        )
        faults = [*_find_entry_faults(changed.format, changed.language_choice, changed.languages)]
        if subscription.channel is Channel.WORDPRESS and not secret and _is_elsewhere(subscription, changed):
            # Else whoever changes the callback could have it sent to a site of his own, and read it there.
            faults.append(Fault(pointer="/application_password", code="password_of_another_site"))
        if faults:
            raise Invalid(faults)
        if changed.callback != subscription.callback:
            changed = dataclasses.replace(changed, failing_since=None)
            deliveries.move_due(tx, subscription_id, host_of(changed.callback))
            subscriptions.end_hold(tx, subscription_id)
        subscriptions.update_subscription(tx, changed)
    return changed


def _is_elsewhere(before: Subscription, after: Subscription) -> bool:
    """Whether the callback leads to another origin (RFC 6454 section 4)."""
    places = [(urlsplit(each.callback).scheme.lower(), host_of(each.callback)) for each in (before, after)]
    return places[0] != places[1]


def rotate_secret(
    storage: Storage, subscription_id: uuid.UUID, caller: ApiKey, now: datetime
) -> Subscription:
    """A new secret of the same kind; for a day the former ones sign beside it. Raises NotFound, Conflict."""
    with storage.write() as tx:
        found = _lock(tx, subscription_id, caller)
        if found.state is SubscriptionState.ENDED:
            raise SubscriptionEnded()
        if found.channel is not Channel.WEBHOOK:
            raise NothingToRotate(channel=found.channel.value)
        secret = _make_secret(found.signature)
        changed = dataclasses.replace(
            found, secret=Secret(secret), public_key=find_public_key(secret), **_retire(found, now)
        )
        subscriptions.update_subscription(tx, changed)
    return changed


def require_no_topic(subscription: Subscription) -> None:
    """Raises HeldByHub for a WebSub subscription."""
    if subscription.topic:
        raise HeldByHub()


def delete_subscription(storage: Storage, subscription_id: uuid.UUID, caller: ApiKey, now: datetime) -> None:
    """What still waits is given up; the record of what was sent stays. Raises NotFound."""
    with storage.write() as tx:
        subscription = _lock(tx, subscription_id, caller)
        if subscription.topic and subscription.state is SubscriptionState.ACTIVE:
            websub.insert_intent(tx, deny(subscription, "deleted", now))
        _end(tx, subscription, SubscriptionState.DELETED, "deleted")


def end_subscription(tx: Transaction, subscription_id: uuid.UUID, reason: str) -> None:
    """The receiver wants no more."""
    subscription = subscriptions.lock_subscription(tx, subscription_id)
    if subscription and subscription.state in STANDING:
        _end(tx, subscription, SubscriptionState.ENDED, reason)


def end_gone(tx: Transaction, subscription_id: uuid.UUID, callback: str, now: datetime) -> bool:
    """This callback has answered 410. Its owner is told, for whom it may be news; of a WebSub subscriber we know none.

    Returns whether it still is the callback; another one has not said so.
    """
    subscription = subscriptions.lock_subscription(tx, subscription_id)
    if subscription and callback != subscription.callback:
        return False
    if subscription and subscription.state in STANDING:
        _end(tx, subscription, SubscriptionState.ENDED, "gone")
        if not subscription.topic:
            pauses.tell(tx, subscription.id, NoticeType.ENDED, now, GONE)
    return True


def resume_subscription(
    storage: Storage, subscription_id: uuid.UUID, since: datetime | None, now: datetime, caller: ApiKey
) -> Subscription:
    """What was kept is sent, in order; with `since`, what was missed since then and nothing older but withdrawals.

    Raises Invalid for a time to come, NotFound, SubscriptionEnded or NotPaused.
    """
    if since and since > now:
        raise Invalid([Fault(pointer="/since", code="future_since")])
    with storage.write() as tx:
        subscription = _lock(tx, subscription_id, caller)
        if subscription.state not in STANDING:
            raise SubscriptionEnded()
        if subscription.state is not SubscriptionState.PAUSED:
            raise NotPaused()
        resumed = dataclasses.replace(
            subscription, state=SubscriptionState.ACTIVE, failing_since=None, paused_at=None
        )
        subscriptions.update_subscription(tx, resumed)
        pauses.release(tx, subscription_id, now, since)
        pauses.note_resumed(tx, subscription_id, now)
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


def _as_kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_KINDS: Mapping[str, Callable[[Any], Any]] = {"format": Format, "language_choice": LanguageChoice}


def _find_entry_faults(format: Any, choice: Any, languages: Any) -> Iterator[Fault]:
    """An Atom entry has one language (RFC 4287 section 2)."""
    are_many = isinstance(languages, list | tuple) and len(languages) > 1
    if format == Format.ATOM and choice == LanguageChoice.ALL and are_many:
        yield Fault(pointer="/languages", code="one_language")


def _retire(subscription: Subscription, now: datetime) -> dict[str, Any]:
    try:
        former = retire_secret(subscription.former_secrets.reveal(), subscription.secret.reveal(), now)
    except SecretUnreadable:
        # Nothing could be sent with it any more: a new one is the way out.
        return {"former_secrets": NO_SECRET, "overlap_ends_at": None}
    return {"former_secrets": Secret(former), "overlap_ends_at": now + OVERLAP}


def _make_secret(signature: Signature) -> str:
    return make_private_key() if signature is Signature.ED25519 else make_secret()


def _end(tx: Transaction, subscription: Subscription, state: SubscriptionState, reason: str) -> None:
    # Nothing is signed for it any more, so the secret goes too.
    ended = dataclasses.replace(
        subscription, state=state, ended_reason=reason, secret=NO_SECRET, former_secrets=NO_SECRET
    )
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
