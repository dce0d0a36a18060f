"""A receiver's Retry-After holds what goes to that receiver, and not what goes to another one in its place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.deliveries import plan_test
from service.model import Attempt, Claim, DeliveryState
from service.retries import CLAIM
from service.storage import Storage
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.subscriptions import change_subscription
from tests.conftest import StoppedClock
from tests.core.test_claims import claim, subscribe
from tests.factories import make_desk

DAY = timedelta(days=1)


def refuse(storage: Storage, clock: StoppedClock, held: Claim) -> None:
    """As a 503 does with a Retry-After of a day."""
    attempt = Attempt(number=held.attempt, started_at=clock(), duration_ms=5, status=503)
    outcome = Outcome(
        claim=held, attempt=attempt, state=DeliveryState.DUE, next_attempt_at=clock() + DAY, holds_until=clock() + DAY
    )
    with storage.write() as tx:
        assert record_outcomes(tx, make_report([outcome], tx.dialect)) == []


@pytest.mark.parametrize("is_late", [False, True])
def test_a_new_callback_is_sent_what_the_old_one_did_not_want_yet(
    storage: Storage, clock: StoppedClock, is_late: bool
) -> None:
    """Also where the old one says so only after it was changed."""
    subscription = subscribe(storage, clock)
    plan_test(storage, subscription, clock())
    [held] = claim(storage, clock)
    if not is_late:
        refuse(storage, clock, held)
    desk = make_desk(storage)
    change_subscription(storage, subscription.id, {"callback": "https://new.example/"}, desk)
    if is_late:
        refuse(storage, clock, held)
    plan_test(storage, subscription, clock())
    [sent] = claim(storage, clock)
    assert sent.callback == "https://new.example/"


def test_the_same_callback_is_held_whatever_else_is_changed(storage: Storage, clock: StoppedClock) -> None:
    subscription = subscribe(storage, clock)
    plan_test(storage, subscription, clock())
    refuse(storage, clock, *claim(storage, clock))
    change_subscription(storage, subscription.id, {"languages": ["zh-Hans"]}, make_desk(storage))
    plan_test(storage, subscription, clock())
    assert claim(storage, clock) == []
    clock.now += DAY + CLAIM
    assert len(claim(storage, clock)) == 1
