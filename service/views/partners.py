"""What partners and staff are shown of orders, deliveries and keys."""

from __future__ import annotations

from typing import Any

from service.model import ApiKey, Channel, Delivery, Notice, Replay, Subscription
from service.receipts import Receiver
from service.storage.deliveries import message_id
from service.views.instants import iso


def view_subscription(subscription: Subscription) -> dict[str, Any]:
    """Without the secret, and without what its channel has no choice of."""
    return {
        "id": str(subscription.id),
        "partner": subscription.partner,
        "channel": subscription.channel,
        "callback": subscription.callback,
        "languages": list(subscription.languages),
        **({} if subscription.topic else {"language_choice": subscription.language_choice.value}),
        "categories": list(subscription.categories),
        **subscription.settings,
        "state": subscription.state.value,
        "ended_reason": subscription.ended_reason,
        "failing_since": iso(subscription.failing_since),
        "paused_at": iso(subscription.paused_at),
        "created_at": iso(subscription.created_at),
        "topic": subscription.topic,
        "lease_until": iso(subscription.lease_until),
        **(_view_message(subscription) if subscription.channel is Channel.WEBHOOK else {}),
    }


def _view_message(subscription: Subscription) -> dict[str, Any]:
    """What a webhook is sent, and how that is signed."""
    return {
        "format": subscription.format.value,
        "signature": subscription.signature.value,
        "public_key": subscription.public_key,
        "overlap_ends_at": iso(subscription.overlap_ends_at),
    }


def view_exchanges(delivery: Delivery) -> dict[str, Any]:
    """The delivery with what was sent and what came back."""
    kept = [
        {"request_headers": attempt.request_headers, "response_headers": attempt.response_headers,
         "response_body": attempt.response_body, "exchange_cleared_at": iso(attempt.exchange_cleared_at)}
        for attempt in delivery.attempts
    ]
    view = view_delivery(delivery)
    return view | {"attempts": [told | more for told, more in zip(view["attempts"], kept, strict=True)]}


def view_replay(replay: Replay) -> dict[str, Any]:
    return {
        "id": str(replay.id),
        "subscription_id": str(replay.subscription_id),
        "since": iso(replay.since),
        "created_at": iso(replay.created_at),
        "planned_at": iso(replay.planned_at),
        "finished_at": iso(replay.finished_at),
        "total": replay.total,
        "sent": replay.sent,
        "failed": replay.failed,
        "superseded": replay.superseded,
        "remaining": replay.remaining,
    }


def view_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "message_id": message_id(delivery.id),
        "event": delivery.event_type.value,
        "release_id": str(delivery.release_id) if delivery.release_id else None,
        "revision": delivery.revision,
        "subscription_id": str(delivery.subscription_id),
        "partner": delivery.partner,
        **({"format": delivery.format.value} if delivery.channel is Channel.WEBHOOK else {}),
        "languages": list(delivery.languages),
        "state": delivery.state.value,
        "created_at": iso(delivery.created_at),
        "next_attempt_at": iso(delivery.next_attempt_at),
        "delivered_at": iso(delivery.delivered_at),
        "attempts": [
            {"number": attempt.number, "started_at": iso(attempt.started_at),
             "duration_ms": attempt.duration_ms, "status": attempt.status, "error": attempt.error}
            for attempt in delivery.attempts
        ],
    }


def view_notice(notice: Notice) -> dict[str, Any]:
    return {
        "id": str(notice.id),
        "type": notice.type.value,
        "created_at": iso(notice.created_at),
        "partner": notice.subscription.partner,
        "subscription_id": str(notice.subscription.id),
        "delivery_id": str(notice.delivery_id) if notice.delivery_id else None,
        "event": notice.event,
        "release_id": str(notice.release_id) if notice.release_id else None,
        "status": notice.status,
        "error": notice.error,
        "sent_at": iso(notice.sent_at),
    }


def view_receiver(receiver: Receiver) -> dict[str, Any]:
    subscription = receiver.subscription
    return {
        "partner": subscription.partner,
        "subscription_id": str(subscription.id),
        "channel": subscription.channel,
        "callback": subscription.callback,
        "state": subscription.state.value,
        "languages": {
            receipt.language: {
                "accepted": _view_sent(receipt.accepted) if receipt.accepted else None,
                "owed": _view_sent(receipt.owed) if receipt.owed else None,
                "sent": [_view_sent(delivery) for delivery in receipt.deliveries],
            }
            for receipt in receiver.receipts
        },
    }


def _view_sent(delivery: Delivery) -> dict[str, Any]:
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "delivery_id": str(delivery.id),
        "message_id": message_id(delivery.id),
        "event": delivery.event_type.value,
        "revision": delivery.revision,
        "state": delivery.state.value,
        "accepted_at": iso(delivery.delivered_at),
        "next_attempt_at": iso(delivery.next_attempt_at),
        "attempts": len(delivery.attempts),
        "status": last.status if last else None,
        "error": last.error if last else None,
    }


def view_key(key: ApiKey) -> dict[str, Any]:
    """Without the key itself."""
    return {
        "id": str(key.id),
        "name": key.name,
        "role": key.role.value,
        "partner": key.partner,
        "created_at": iso(key.created_at),
        "revoked_at": iso(key.revoked_at),
    }
