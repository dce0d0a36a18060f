"""What the hub keeps: who is asked when, what is done once confirmed, what subscribers are owed, on both databases."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import schemas
from service import hub, subscriptions, websub
from service.config import Profile
from service.deliveries import plan_due
from service.feeds import list_topics
from service.model import (
    Channel,
    DeliveryState,
    IntentMode,
    IntentState,
    SubscriptionState,
)
from service.publishing import publish_due
from service.storage import deliveries
from service.storage import subscriptions as stored
from service.storage import websub as asked
from service.views import view_delivery, view_subscription
from service.websub import DAY_SECONDS, MOST_AN_HOUR, MOST_WAITING, TooManyVerifications
from tests.factories import make_desk
from tests.websub.conftest import Hub

LEASE = 10 * DAY_SECONDS


def test_nothing_is_subscribed_until_it_is_confirmed(websub_hub: Hub) -> None:
    intent = websub_hub.ask(secret="s")
    assert websub_hub.find(intent) is None
    [claimed] = websub_hub.claim()
    assert (claimed.secret.reveal(), claimed.lease_seconds, claimed.attempt) == ("s", LEASE, 1)
    assert websub_hub.settle(claimed, IntentState.VERIFIED)
    found = websub_hub.find(intent)
    assert found and found.channel is Channel.WEBSUB and found.secret.reveal() == "s" and found.partner == "a.example"
    assert found.lease_until == websub_hub.clock() + timedelta(seconds=LEASE)
    assert (found.languages, found.categories) == (("en",), ())


def test_a_renewal_replaces_lease_and_secret_and_nothing_before_it_is_confirmed(websub_hub: Hub) -> None:
    first = websub_hub.confirm(secret="old", lease_seconds=str(2 * DAY_SECONDS))
    websub_hub.clock.advance(days=1)
    again = websub_hub.ask(secret="new", lease_seconds=str(3 * DAY_SECONDS))
    assert websub_hub.find(again) == first
    [claimed] = websub_hub.claim()
    assert websub_hub.settle(claimed, IntentState.FAILED) and websub_hub.find(again) == first
    second = websub_hub.confirm(lease_seconds=str(3 * DAY_SECONDS))
    assert first and second and (second.id, second.secret.reveal()) == (first.id, "")
    assert second.lease_until == websub_hub.clock() + timedelta(days=3)


def test_of_neither_order_nor_delivery_a_format_or_a_choice_is_told_that_nobody_made(websub_hub: Hub) -> None:
    """What is sent is the topic's own document."""
    subscription = websub_hub.confirm("/feeds/en.rss")
    websub_hub.swap()
    assert subscription
    with websub_hub.storage.read() as tx:
        [owed] = deliveries.list_for_subscription(tx, subscription.id, limit=9, before=None)
    for name, view in (("delivery-view", view_delivery(owed)), ("subscription-view", view_subscription(subscription))):
        assert view.keys().isdisjoint({"format", "language_choice"})
        assert schemas.find_validator(name).is_valid(view)


def test_topic_and_callback_are_the_key(websub_hub: Hub) -> None:
    kept = [
        websub_hub.confirm("/feeds/en.atom", "https://a.example/"), websub_hub.confirm("/feeds/en.rss", "https://a.example/"),
        websub_hub.confirm("/feeds/en.atom", "https://a.example/?"),
    ]
    assert len({each and each.id for each in kept}) == 3


def test_unsubscribing_is_confirmed_too_and_forgets_the_secret(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm(secret="s")
    intent = websub_hub.ask(mode="unsubscribe")
    [claimed] = websub_hub.claim()
    websub_hub.settle(claimed, IntentState.FAILED)
    assert websub_hub.find(intent) == subscription
    assert websub_hub.confirm(mode="unsubscribe") is None
    with websub_hub.storage.read() as tx:
        after = stored.find_subscription(tx, subscription.id)  # type: ignore[union-attr]
    assert after and (after.state, after.ended_reason) == (SubscriptionState.ENDED, "unsubscribed")
    assert after.secret.reveal() == ""


def test_who_was_never_subscribed_may_unsubscribe(websub_hub: Hub) -> None:
    assert websub_hub.confirm(mode="unsubscribe") is None


def test_an_intent_of_a_dead_worker_is_asked_again_and_its_late_answer_refused(websub_hub: Hub) -> None:
    intent = websub_hub.ask()
    [lost] = websub_hub.claim("dead")
    assert websub_hub.claim("second") == []
    websub_hub.clock.advance(seconds=20)
    [held] = websub_hub.claim("second")
    assert (held.id, held.attempt) == (lost.id, 2)
    assert not websub_hub.settle(lost, IntentState.VERIFIED)
    assert websub_hub.find(intent) is None
    assert websub_hub.settle(held, IntentState.FAILED)
    assert websub_hub.claim() == []


def test_who_was_not_there_is_asked_again_in_time(websub_hub: Hub) -> None:
    websub_hub.ask()
    [first] = websub_hub.claim()
    websub_hub.settle(first, IntentState.DUE, websub_hub.clock() + timedelta(seconds=5))
    assert websub_hub.claim() == []
    websub_hub.clock.advance(seconds=5)
    [second] = websub_hub.claim()
    assert second.attempt == 2


def test_a_host_is_asked_one_thing_at_a_time_and_hangs_up_no_other(websub_hub: Hub) -> None:
    for number in range(3):
        for name in ("a", "b"):
            websub_hub.ask("/feeds/en.atom", f"https://{name}.example/{number}")
    first = websub_hub.claim()
    assert sorted(intent.callback for intent in first) == ["https://a.example/0", "https://b.example/0"]
    assert websub_hub.claim("second") == []
    websub_hub.settle(first[0], IntentState.FAILED)
    assert [intent.host for intent in websub_hub.claim()] == [first[0].host]


def test_of_what_one_subscriber_asks_the_last_holds(websub_hub: Hub) -> None:
    older = websub_hub.ask(secret="older")
    websub_hub.ask(mode="unsubscribe")
    newest = websub_hub.ask(secret="newest")
    [claimed] = websub_hub.claim()
    assert (claimed.id, claimed.secret.reveal()) == (newest.id, "newest")
    websub_hub.settle(claimed, IntentState.VERIFIED)
    assert websub_hub.claim() == []
    found = websub_hub.find(older)
    assert found and found.secret.reveal() == "newest"


def test_what_was_asked_for_earlier_and_confirmed_later_changes_nothing(websub_hub: Hub) -> None:
    """The older question was under way when the newer came, and nobody was there to answer it."""
    older = websub_hub.ask(secret="older")
    [flying] = websub_hub.claim()
    websub_hub.ask(secret="newer")
    websub_hub.settle(flying, IntentState.DUE, websub_hub.clock() + timedelta(seconds=5))
    [newer] = websub_hub.claim()
    websub_hub.settle(newer, IntentState.VERIFIED)
    websub_hub.clock.advance(seconds=5)
    [again] = websub_hub.claim()
    assert (again.id, again.attempt) == (older.id, 2)
    websub_hub.settle(again, IntentState.VERIFIED)
    found = websub_hub.find(older)
    assert found and found.secret.reveal() == "newer"


def test_a_host_has_a_budget_of_questions_and_another_host_its_own(
    websub_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websub, "MOST_AN_HOUR", 3)
    websub_hub.ask("/feeds/en.atom", "https://a.example/0")
    websub_hub.clock.advance(minutes=10)
    for number in (1, 2):
        websub_hub.ask("/feeds/en.atom", f"https://a.example/{number}")
    with pytest.raises(TooManyVerifications) as refused:
        websub_hub.ask("/feeds/en.atom", "https://A.example:443/3")
    assert refused.value.params == {"host": "a.example", "wait_seconds": 50 * 60 + 1}
    websub_hub.ask("/feeds/en.atom", "https://b.example/")
    websub_hub.clock.advance(seconds=50 * 60 + 1)
    websub_hub.ask("/feeds/en.atom", "https://a.example/3")


def test_what_waits_of_a_host_is_bounded(websub_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websub, "MOST_WAITING", 2)
    for number in range(2):
        websub_hub.ask("/feeds/en.atom", f"https://a.example/{number}")
    with pytest.raises(TooManyVerifications):
        websub_hub.ask("/feeds/en.atom", "https://a.example/2")
    for intent in websub_hub.claim():
        websub_hub.settle(intent, IntentState.FAILED)
    websub_hub.ask("/feeds/en.atom", "https://a.example/2")


def test_a_host_has_so_many_subscriptions_and_may_renew_and_end_them(
    websub_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websub, "MOST_SUBSCRIPTIONS", 1)
    websub_hub.confirm()
    with pytest.raises(TooManyVerifications):
        websub_hub.ask("/feeds/en.rss")
    assert websub_hub.confirm(secret="renewed")
    assert websub_hub.confirm(mode="unsubscribe") is None
    assert websub_hub.confirm("/feeds/en.rss")


@pytest.mark.parametrize("budget", ["MOST_AN_HOUR", "MOST_WAITING", "MOST_WAITING_IN_ALL"])
def test_a_subscriber_renews_and_leaves_whatever_strangers_ask_for_on_its_host(
    websub_hub: Hub, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    """It has a small budget of its own beside that of its host."""
    monkeypatch.setattr(websub, budget, 2)
    monkeypatch.setattr(websub, "MOST_RENEWALS_AN_HOUR", 3)
    mine = ("/feeds/en.atom", "https://a.example/mine")
    assert websub_hub.confirm(*mine)
    with pytest.raises(TooManyVerifications):
        for number in range(3):
            websub_hub.ask("/feeds/en.atom", f"https://a.example/{number}")
    websub_hub.ask(*mine, secret="renewed")
    websub_hub.ask(*mine, mode="unsubscribe")
    with pytest.raises(TooManyVerifications):
        websub_hub.ask(*mine, secret="again")


def test_the_budgets_let_an_honest_reader_of_all_feeds_in(profile: Profile) -> None:
    assert len(list_topics(profile)) < MOST_WAITING < MOST_AN_HOUR


def test_each_subscriber_of_a_changed_topic_is_owed_its_document_as_it_is(websub_hub: Hub) -> None:
    kept = {
        topic: websub_hub.confirm(topic, "https://a.example/" + topic, secret="s")
        for topic in ("/feeds/en.atom", "/feeds/zh.json", "/feeds/en/events.atom")
    }
    websub_hub.swap()
    sent = {claim.callback.removeprefix("https://a.example/"): claim for claim in websub_hub.take()}
    assert set(sent) == {"/feeds/en.atom", "/feeds/zh.json"}, "the example is no event"
    for topic, claim in sent.items():
        assert claim.body == websub_hub.newsroom.body(topic)
        assert (claim.channel, claim.secret.reveal()) == (Channel.WEBSUB, "s")
        base_url = websub_hub.profile.base_url
        assert claim.link == f'<{base_url}/hub>; rel="hub", <{base_url}{topic}>; rel="self"'
    assert sent["/feeds/en.atom"].media_type == "application/atom+xml"
    assert websub_hub.states(kept["/feeds/en/events.atom"]) == []


def test_a_subscriber_that_lags_gets_the_newest_state_and_not_each(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    for _ in range(3):
        websub_hub.swap()
    assert websub_hub.states(subscription) == ["due", "superseded", "superseded"]
    [claim] = websub_hub.take()
    assert claim.body == websub_hub.newsroom.body("/feeds/en.atom")


def test_what_failed_while_a_newer_state_was_planned_is_not_tried_again(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    websub_hub.swap()
    [flying] = websub_hub.take()
    websub_hub.swap()
    assert websub_hub.states(subscription) == ["due", "due"]
    websub_hub.record(flying, DeliveryState.DUE, again_in=5)
    assert websub_hub.states(subscription) == ["due", "superseded"]
    [newest] = websub_hub.take()
    websub_hub.record(newest, DeliveryState.DELIVERED)
    websub_hub.clock.advance(seconds=60)
    assert websub_hub.take() == []


def test_what_a_dead_courier_held_gives_way_to_the_newer(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    websub_hub.swap()
    websub_hub.take("dead")
    websub_hub.swap()
    websub_hub.clock.advance(seconds=20)
    # The dead one's is found first, and retired; so nothing or the newest is handed out.
    sent = websub_hub.take() or websub_hub.take()
    assert [claim.body for claim in sent] == [websub_hub.newsroom.body("/feeds/en.atom")]
    assert websub_hub.states(subscription) == ["due", "superseded"]


def test_a_try_that_is_repeated_sends_the_same_bytes(websub_hub: Hub) -> None:
    websub_hub.confirm()
    websub_hub.swap()
    [first] = websub_hub.take()
    websub_hub.record(first, DeliveryState.DUE, again_in=5)
    websub_hub.clock.advance(seconds=5)
    [second] = websub_hub.take()
    assert (second.body, second.message_id, second.attempt) == (first.body, first.message_id, 2)


def test_a_subscription_outlives_a_delivery_that_was_given_up(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    for _ in range(2):
        websub_hub.swap()
        [claim] = websub_hub.take()
        websub_hub.record(claim, DeliveryState.ABANDONED)
    websub_hub.swap()
    assert websub_hub.states(subscription) == ["due", "abandoned", "abandoned"]


def test_a_subscriber_that_fails_for_days_is_not_paused(websub_hub: Hub) -> None:
    """Section 7: a subscription is kept to the end of its lease."""
    subscription = websub_hub.confirm(lease_seconds=str(30 * DAY_SECONDS))
    for _ in range(10):
        websub_hub.swap()
        [claim] = websub_hub.take()
        websub_hub.record(claim, DeliveryState.DUE, again_in=5)
        websub_hub.clock.advance(days=2)
    assert subscription and subscription.topic
    with websub_hub.storage.read() as tx:
        after = stored.find_subscription(tx, subscription.id)
    assert after and after.state is SubscriptionState.ACTIVE and after.failing_since


def test_no_event_of_a_release_is_owed_to_a_subscriber_of_its_feed(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    release = websub_hub.newsroom.accept()
    websub_hub.newsroom.swap()
    assert plan_due(websub_hub.storage, websub_hub.profile, websub_hub.clock) == 0
    assert websub_hub.states(subscription) == []
    with websub_hub.storage.read() as tx:
        assert deliveries.list_for_release(tx, release.id, limit=9, before=None) == []


def test_planning_goes_on_where_it_was_broken_off(websub_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PLAN_BATCH", 2)
    kept = [websub_hub.confirm("/feeds/en.atom", f"https://a.example/{number}") for number in range(5)]
    websub_hub.newsroom.accept()
    websub_hub.newsroom.swap()
    plan_batch = hub._plan_batch
    left = iter((1, 1))
    monkeypatch.setattr(hub, "_plan_batch", lambda *what: plan_batch(*what) if next(left, 0) else 0)
    assert hub.plan_feeds(websub_hub.storage, websub_hub.clock) == 4
    monkeypatch.setattr(hub, "_plan_batch", plan_batch)
    assert hub.plan_feeds(websub_hub.storage, websub_hub.clock) == 1
    assert hub.plan_feeds(websub_hub.storage, websub_hub.clock) == 0
    assert [websub_hub.states(each) for each in kept] == [["due"]] * 5


def test_rival_planners_owe_each_subscriber_once(websub_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PLAN_BATCH", 3)
    kept = [websub_hub.confirm("/feeds/en.atom", f"https://a.example/{number}") for number in range(20)]
    websub_hub.newsroom.accept()
    websub_hub.newsroom.swap()
    barrier = threading.Barrier(4)

    def plan(_number: int) -> int:
        barrier.wait()
        return hub.plan_feeds(websub_hub.storage, websub_hub.clock)

    with ThreadPoolExecutor(4) as planners:
        assert sum(planners.map(plan, range(4))) == 20
    assert [websub_hub.states(each) for each in kept] == [["due"]] * 20


def test_a_lease_is_kept_to_the_second_and_then_ends(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    assert subscription and subscription.lease_until
    websub_hub.swap()
    websub_hub.clock.now = subscription.lease_until - timedelta(microseconds=1)
    assert hub.end_expired(websub_hub.storage, websub_hub.clock()) == 0
    websub_hub.clock.now = subscription.lease_until
    websub_hub.swap()
    assert websub_hub.states(subscription) == ["due"], "what changes after the lease is owed to nobody"
    assert hub.end_expired(websub_hub.storage, websub_hub.clock()) == 1
    assert websub_hub.states(subscription) == ["abandoned"]
    with websub_hub.storage.read() as tx:
        after = stored.find_subscription(tx, subscription.id)
    assert after and (after.state, after.ended_reason) == (SubscriptionState.ENDED, "lease_over")


def test_a_feed_that_is_retired_ends_its_subscriptions_and_tells_them(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm("/feeds/zh/events.atom")
    assert subscription
    categories = {term: names for term, names in websub_hub.profile.categories.items() if term != "events"}
    websub_hub.clock.advance(seconds=2)
    publish_due(websub_hub.storage, dataclasses.replace(websub_hub.profile, categories=categories), websub_hub.clock)
    [denial] = websub_hub.claim()
    assert denial.mode is IntentMode.DENIED
    assert (denial.topic, denial.callback) == (subscription.topic, subscription.callback)
    assert denial.reason == "这个订阅源已停用，不再更新。"
    assert websub_hub.find(denial) is None


def test_whom_the_newsroom_drops_is_told(websub_hub: Hub) -> None:
    subscription = websub_hub.confirm()
    assert subscription
    desk = make_desk(websub_hub.storage)
    subscriptions.delete_subscription(websub_hub.storage, subscription.id, desk, websub_hub.clock())
    [denial] = websub_hub.claim()
    assert (denial.mode, denial.reason) == (IntentMode.DENIED, "The newsroom has ended this subscription.")


def test_old_requests_are_forgotten_and_waiting_ones_are_not(websub_hub: Hub) -> None:
    settled, waiting = websub_hub.ask(), websub_hub.ask("/feeds/en.rss")
    for intent in websub_hub.claim():
        assert intent.id == settled.id
        websub_hub.settle(intent, IntentState.FAILED)
    websub_hub.clock.now += hub.REMEMBERED + timedelta(seconds=1)
    hub.end_expired(websub_hub.storage, websub_hub.clock())
    with websub_hub.storage.read() as tx:
        since = settled.created_at - timedelta(seconds=1)
        moments = asked.list_moments(tx, settled, since, websub_hub.clock())
    assert moments == [waiting.created_at]
