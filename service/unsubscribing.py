"""Ending a subscription by the link in an e-mail, without a key (RFC 8058)."""

from __future__ import annotations

import hmac
import uuid

from service.errors import NotFound
from service.model import Subscription
from service.storage import Storage, subscriptions
from service.subscriptions import STANDING, end_subscription

REASON = "unsubscribed"
_PURPOSE = b"unsubscribe"
_ID_LENGTH = 32


def make_token(subscription_id: uuid.UUID, secret: str) -> str:
    """Its id and a proof that only we can make. It holds as long as the subscription's secret."""
    return subscription_id.hex + hmac.digest(secret.encode(), _PURPOSE, "sha256")[:16].hex()


def find_by_token(storage: Storage, token: str) -> Subscription:
    """Of one that has ended the proof is forgotten, and there is nothing left to protect. Raises NotFound."""
    try:
        subscription_id = uuid.UUID(token[:_ID_LENGTH])
    except ValueError:
        raise NotFound(kind="subscription", id=token) from None
    with storage.read() as tx:
        found = subscriptions.find_subscription(tx, subscription_id)
    if found and found.state in STANDING:
        expected = make_token(subscription_id, found.secret.reveal())
        found = found if hmac.compare_digest(expected.encode(), token.encode()) else None
    if found is None:
        raise NotFound(kind="subscription", id=token)
    return found


def unsubscribe(storage: Storage, token: str) -> None:
    """Nothing more is sent. Once again is no fault. Raises NotFound."""
    subscription = find_by_token(storage, token)
    with storage.write() as tx:
        end_subscription(tx, subscription.id, REASON)
