"""What is sent once more: /v1/subscriptions/{id}/resume, …/replay, …/replays/{id} and /v1/deliveries/{id}/redeliver."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service import replays
from service.api.auth import requires
from service.api.decoding import read_id, read_json
from service.edge import caller, services
from service.model import Role
from service.subscriptions import get_subscription, resume_subscription
from service.views import view_delivery, view_replay, view_subscription

blueprint = Blueprint("replays", __name__, url_prefix="/v1")


@blueprint.post("/subscriptions/<subscription_id>/resume")
@requires(Role.STAFF, Role.PARTNER)
def resume(subscription_id: str) -> Any:
    id = read_id("subscription", subscription_id)
    # Without a body, all that was kept is meant.
    document = read_json() if request.get_data(cache=True) else {}
    since = replays.validate_since(document, "resumption")
    resumed = resume_subscription(services().storage, id, since, services().clock(), caller())
    services().queue.deliver()
    return view_subscription(resumed)


@blueprint.post("/subscriptions/<subscription_id>/replay")
@requires(Role.STAFF, Role.PARTNER)
def post_replay(subscription_id: str) -> tuple[Any, int, dict[str, str]]:
    id = read_id("subscription", subscription_id)
    since = replays.validate_since(read_json(), "replay")
    assert since
    replay = replays.start_replay(services().storage, id, since, services().clock(), caller())
    services().queue.publish()
    location = f"{services().profile.base_url}/v1/subscriptions/{id}/replays/{replay.id}"
    return view_replay(replay), 202, {"Location": location}


@blueprint.get("/subscriptions/<subscription_id>/replays/<replay_id>")
@requires(Role.STAFF, Role.PARTNER)
def get_replay(subscription_id: str, replay_id: str) -> Any:
    subscription = get_subscription(services().storage, read_id("subscription", subscription_id), caller())
    return view_replay(replays.get_replay(services().storage, subscription, read_id("replay", replay_id)))


@blueprint.post("/deliveries/<delivery_id>/redeliver")
@requires(Role.STAFF, Role.PARTNER)
def redeliver(delivery_id: str) -> tuple[Any, int]:
    id = read_id("delivery", delivery_id)
    delivery = replays.redeliver(services().storage, id, services().clock(), caller())
    services().queue.deliver()
    return view_delivery(delivery), 202
