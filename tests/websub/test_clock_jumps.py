"""A clock that is set back or on while subscribers are asked: nobody waits until it has caught up."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import timedelta

import pytest
from celery import Celery

from service import hub
from service.model import IntentState, SubscriptionState
from service.retries import JITTER
from service.storage.websub import FURTHEST
from service.websub import MOST_AN_HOUR, WAITS, TooManyVerifications
from tests.websub.conftest import Hub

DAY = timedelta(days=1)
BACK = pytest.mark.parametrize("back", [timedelta(hours=1), DAY, 30 * DAY], ids=["an hour", "a day", "a month"])


def test_nothing_lies_further_ahead_than_what_counts_as_misdated(workers_app: Celery) -> None:
    from workers.verify import CLAIM

    assert max(*WAITS, CLAIM) * (1 + JITTER) < FURTHEST


@BACK
def test_what_was_asked_for_before_a_clock_was_set_back_is_asked_about_at_once(
    websub_hub: Hub, back: timedelta
) -> None:
    """What never was, what a dead worker holds, and what waits for its next time."""
    websub_hub.ask(callback="https://held.example/")
    assert websub_hub.claim("dead")
    websub_hub.ask(callback="https://waits.example/")
    [waits] = websub_hub.claim()
    assert websub_hub.settle(waits, IntentState.DUE, websub_hub.clock() + WAITS[-1])
    websub_hub.ask(callback="https://new.example/")
    websub_hub.clock.now -= back
    websub_hub.ask(callback="https://held.example/", topic="/feeds/zh.atom")
    asked = {(intent.callback, intent.topic) for _ in range(2) for intent in settle_all(websub_hub)}
    assert len(asked) == 4 and {callback for callback, _ in asked} == {
        "https://held.example/", "https://waits.example/", "https://new.example/",
    }


def settle_all(websub_hub: Hub) -> list[object]:
    claimed = websub_hub.claim()
    for intent in claimed:
        assert websub_hub.settle(intent, IntentState.VERIFIED)
    return list(claimed)


@BACK
def test_who_unsubscribes_after_a_clock_was_set_back_is_unsubscribed(websub_hub: Hub, back: timedelta) -> None:
    """Though by the clock, and so by the ids, the subscribing was later."""
    before = websub_hub.ask()
    [claimed] = websub_hub.claim()
    assert websub_hub.settle(claimed, IntentState.VERIFIED) and websub_hub.find(before)
    websub_hub.clock.now -= back
    after = dataclasses.replace(websub_hub.read(mode="unsubscribe"), id=uuid.UUID(int=before.id.int - 1))
    hub.accept_intent(websub_hub.storage, after)
    [claimed] = websub_hub.claim()
    assert websub_hub.settle(claimed, IntentState.VERIFIED)
    assert websub_hub.find(after) is None


@BACK
def test_a_budget_that_was_spent_in_the_future_is_not_spent_now(websub_hub: Hub, back: timedelta) -> None:
    for _ in range(MOST_AN_HOUR):
        websub_hub.ask()
    with pytest.raises(TooManyVerifications):
        websub_hub.ask()
    websub_hub.clock.now -= back
    websub_hub.ask()


@pytest.mark.parametrize("jump", [DAY, -DAY, -30 * DAY])
def test_a_lease_outlives_a_jump_that_is_shorter_and_is_sent_what_changes(websub_hub: Hub, jump: timedelta) -> None:
    subscription = websub_hub.confirm()
    assert subscription
    websub_hub.clock.now += jump
    assert hub.end_expired(websub_hub.storage, websub_hub.clock()) == 0
    websub_hub.swap()
    [claim] = websub_hub.take()
    assert claim.subscription_id == subscription.id
    renewed = websub_hub.confirm()
    assert renewed and renewed.id == subscription.id and renewed.state is SubscriptionState.ACTIVE
    assert renewed.lease_until == websub_hub.clock() + timedelta(days=10)
