"""The hub in one hand, for tests of what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from service import hub
from service.config import Profile
from service.feeds import list_topics
from service.model import Attempt, Claim, DeliveryState, Draft, Intent, IntentState, Subscription
from service.networks import AllowedNetworks
from service.storage import Storage, claims, deliveries
from service.storage import websub as asked
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.validation import validate_release
from service.websub import read_intent
from tests.conftest import StoppedClock
from tests.core.newsroom import Newsroom


class Hub:
    """The hub in few words."""

    def __init__(self, newsroom: Newsroom) -> None:
        self.newsroom, self.storage, self.profile = newsroom, newsroom.storage, newsroom.profile
        self.clock: StoppedClock = newsroom.clock

    def read(self, topic: str = "/feeds/en.atom", callback: str = "https://a.example/", **more: str) -> Intent:
        form = {"hub.mode": "subscribe", "hub.topic": self.profile.base_url + topic, "hub.callback": callback}
        form |= {f"hub.{name}": value for name, value in more.items()}
        intent = read_intent(form, self.profile, list_topics(self.profile), AllowedNetworks(), self.clock())
        assert intent
        return intent

    def ask(self, *what: str, **more: str) -> Intent:
        intent = self.read(*what, **more)
        hub.accept_intent(self.storage, intent)
        return intent

    def claim(self, owner: str = "me", limit: int = 99) -> list[Intent]:
        now = self.clock()
        with self.storage.write() as tx:
            return asked.claim_intents(tx, owner, limit=limit, now=now, until=now + timedelta(seconds=20))

    def settle(self, intent: Intent, state: IntentState, again_at: Any = None) -> bool:
        return hub.settle_intent(self.storage, self.profile, intent, state, again_at, self.clock())

    def confirm(self, *what: str, **more: str) -> Subscription | None:
        """Asked for, asked about and confirmed."""
        wanted = self.ask(*what, **more)
        [claimed] = [intent for intent in self.claim() if intent.id == wanted.id]
        assert self.settle(claimed, IntentState.VERIFIED)
        return self.find(wanted)

    def find(self, intent: Intent) -> Subscription | None:
        with self.storage.write() as tx:
            return asked.find_subscriber(tx, intent.topic, intent.callback)

    def swap(self) -> None:
        self.newsroom.accept()
        self.newsroom.swap()
        hub.plan_feeds(self.storage, self.clock)

    def take(self, owner: str = "courier") -> list[Claim]:
        now = self.clock()
        with self.storage.write() as tx:
            return claims.hold_due(tx, owner, limit=99, now=now, until=now + timedelta(seconds=20)).read()

    def record(self, claim: Claim, state: DeliveryState, again_in: float | None = None) -> None:
        attempt = Attempt(number=claim.attempt, started_at=self.clock(), duration_ms=1, status=500)
        again_at = None if again_in is None else self.clock() + timedelta(seconds=again_in)
        with self.storage.write() as tx:
            outcome = Outcome(claim=claim, attempt=attempt, state=state, next_attempt_at=again_at)
            assert not record_outcomes(tx, make_report([outcome], tx.dialect))

    def states(self, subscription: Subscription | None) -> list[str]:
        """Of its deliveries, newest first."""
        assert subscription
        with self.storage.read() as tx:
            found = deliveries.list_for_subscription(tx, subscription.id, limit=99, before=None)
        return [delivery.state.value for delivery in found]


@pytest.fixture
def websub_hub(
    storage: Storage, profile: Profile, clock: StoppedClock, release_document: dict[str, Any]
) -> Iterator[Hub]:
    draft: Draft = validate_release(release_document, profile)
    newsroom = Newsroom(storage, profile, clock, draft)
    newsroom.swap()
    yield Hub(newsroom)
