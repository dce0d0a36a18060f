"""The proof of who has what: per partner and language, what was sent, when it was accepted, what is still owed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.model import Delivery, DeliveryState, EventType, Release, Subscription
from service.storage import Storage, deliveries, subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one subscription was owed in one language, oldest delivery first."""

    language: str
    deliveries: Sequence[Delivery]

    @property
    def accepted(self) -> Delivery | None:
        """The last that the partner took."""
        taken = [delivery for delivery in self.deliveries if delivery.delivered_at]
        return taken[-1] if taken else None

    @property
    def owed(self) -> Delivery | None:
        """The newest that the partner was to get and has not taken, whether it is still tried or was given up."""
        newest = next((d for d in reversed(self.deliveries) if d.state is not DeliveryState.SUPERSEDED), None)
        return newest if newest and not newest.delivered_at else None


@dataclass(frozen=True, slots=True)
class Receiver:
    """One subscription and its receipts, one for each language that it was ever owed."""

    subscription: Subscription
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How many receivers there are, and how the newest that each was to get stands with them."""

    receivers: int
    accepted: int
    due: int
    abandoned: int


def list_receivers(
    storage: Storage, release: Release, *, limit: int, before: uuid.UUID | None = None
) -> list[Receiver]:
    """Newest subscription first; those that have ended since are told of too."""
    with storage.read() as tx:
        ids = deliveries.list_receivers(tx, release.id, limit=limit, before=before)
        owed = deliveries.list_for_receivers(tx, release.id, ids)
        receivers = subscriptions.list_by_ids(tx, ids)
    by_receiver: dict[uuid.UUID, list[Delivery]] = {}
    for delivery in reversed(owed):
        by_receiver.setdefault(delivery.subscription_id, []).append(delivery)
    return [Receiver(each, list(_receipts(release, by_receiver[each.id]))) for each in receivers]


def count_receivers(storage: Storage, release: Release) -> Totals:
    """Of all receivers together."""
    with storage.read() as tx:
        return Totals(**deliveries.count_receivers(tx, release.id))


def _receipts(release: Release, owed: Sequence[Delivery]) -> Iterator[Receipt]:
    """In the languages that were sent. A withdrawal names every edition, also those that a partner never had."""
    told = [delivery for delivery in owed if delivery.event_type is not EventType.RELEASE_WITHDRAWN] or owed
    sent = {language for delivery in told for language in delivery.languages}
    # Also what a correction has left out.
    for language in dict.fromkeys((*release.languages, *sorted(sent))):
        if language in sent:
            yield Receipt(language=language, deliveries=[
                each for each in owed
                if language in each.languages or each.event_type is EventType.RELEASE_WITHDRAWN
            ])
