"""/v1/subscriptions"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service import pings, subscriptions
from service.api.auth import ForeignPartner, requires
from service.api.decoding import page_of, read_id, read_json, read_page
from service.deliveries import plan_test
from service.edge import caller, services
from service.errors import NotFound
from service.model import Channel, Role, Subscription, SubscriptionState
from service.storage import deliveries
from service.storage import subscriptions as stored
from service.views import view_delivery, view_exchanges, view_subscription

blueprint = Blueprint("subscriptions", __name__, url_prefix="/v1/subscriptions")


@blueprint.post("")
@requires(Role.STAFF, Role.PARTNER)
def post_subscription() -> tuple[Any, int, dict[str, str]]:
    order = _read("subscription")
    if caller().role is Role.PARTNER and order["partner"] != caller().partner:
        raise ForeignPartner(partner=caller().partner)
    subscription = subscriptions.subscribe(services().storage, order, services().clock())
    return _show_once(subscription, 201)


@blueprint.post("/<subscription_id>/rotate-secret")
@requires(Role.STAFF, Role.PARTNER)
def rotate_secret(subscription_id: str) -> tuple[Any, int, dict[str, str]]:
    held = read_id("subscription", subscription_id)
    return _show_once(subscriptions.rotate_secret(services().storage, held, caller(), services().clock()), 200)


def _show_once(subscription: Subscription, status: int) -> tuple[Any, int, dict[str, str]]:
    """With the secret, unless the receiver needs none."""
    location = f"{services().profile.base_url}/v1/subscriptions/{subscription.id}"
    # The one time that the secret is shown: no cache may keep it.
    headers = {"Location": location, "Cache-Control": "no-store"}
    # The half of a pair that is ours stays here, and a password came from the partner, who needs no copy.
    is_ours = subscription.channel is Channel.WEBHOOK and not subscription.public_key
    shown = {"secret": subscription.secret.reveal()} if is_ours else {}
    return {**view_subscription(subscription), **shown}, status, headers


@blueprint.get("")
@requires(Role.STAFF, Role.PARTNER)
def list_subscriptions() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = stored.list_subscriptions(tx, limit=limit + 1, before=before, partner=caller().partner)
    page, headers = page_of(found, limit, lambda subscription: subscription.id, view_subscription)
    return page, 200, headers


@blueprint.get("/<subscription_id>")
@requires(Role.STAFF, Role.PARTNER)
def get_subscription(subscription_id: str) -> Any:
    return view_subscription(_get(subscription_id))


@blueprint.patch("/<subscription_id>")
@requires(Role.STAFF, Role.PARTNER)
def patch_subscription(subscription_id: str) -> Any:
    subscription = _get(subscription_id)
    change = _read("subscription-change", "application/merge-patch+json", subscription.channel)
    changed = subscriptions.change_subscription(services().storage, subscription.id, change, caller())
    return view_subscription(changed)


@blueprint.delete("/<subscription_id>")
@requires(Role.STAFF, Role.PARTNER)
def delete_subscription(subscription_id: str) -> tuple[str, int]:
    subscriptions.delete_subscription(
        services().storage, read_id("subscription", subscription_id), caller(), services().clock()
    )
    services().queue.verify()
    return "", 204


@blueprint.post("/<subscription_id>/test")
@requires(Role.STAFF, Role.PARTNER)
def test_subscription(subscription_id: str) -> tuple[Any, int]:
    subscription = _get(subscription_id)
    if subscription.state is SubscriptionState.PAUSED:
        raise subscriptions.SubscriptionPaused()
    if subscription.state is not SubscriptionState.ACTIVE:
        raise subscriptions.SubscriptionEnded()
    subscriptions.require_no_topic(subscription)
    pings.require_budget(services().storage, subscription, services().clock())
    delivery = plan_test(services().storage, subscription, services().clock())
    services().queue.deliver()
    return view_delivery(delivery), 202


@blueprint.get("/<subscription_id>/deliveries")
@requires(Role.STAFF, Role.PARTNER)
def list_deliveries(subscription_id: str) -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    subscription = _get(subscription_id)
    with services().storage.read() as tx:
        found = deliveries.list_for_subscription(tx, subscription.id, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda delivery: delivery.id, view_delivery)
    return page, 200, headers


@blueprint.get("/<subscription_id>/deliveries/<delivery_id>")
@requires(Role.STAFF, Role.PARTNER)
def get_delivery(subscription_id: str, delivery_id: str) -> Any:
    subscription = _get(subscription_id)
    with services().storage.read() as tx:
        found = deliveries.find_exchanges(tx, read_id("delivery", delivery_id), subscription.id)
    if found is None:
        raise NotFound(kind="delivery", id=delivery_id)
    return view_exchanges(found)


def _get(subscription_id: str) -> Subscription:
    return subscriptions.get_subscription(services().storage, read_id("subscription", subscription_id), caller())


def _read(schema: str, media_type: str = "application/json", channel: Channel | None = None) -> Any:
    settings = services().settings
    return subscriptions.validate_subscription(
        read_json(media_type), schema, services().profile, settings.allowed_networks, channel=channel,
        has_mail=settings.mail is not None,
    )
