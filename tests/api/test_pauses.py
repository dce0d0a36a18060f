"""A webhook that fails for days is paused, and what is resumed gets what it missed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa

from service.model import DeliveryState, NoticeType
from service.retries import PAUSE_AFTER, PAUSE_FAILURES
from service.storage.tables import deliveries, notices, subscriptions
from service.views import iso
from tests.api.wire import FINAL, Wire, told
from tests.conftest import RecordingQueue


def test_a_webhook_that_fails_for_five_days_is_paused_and_its_owner_is_to_be_told(wire: Wire) -> None:
    wire.publish()
    wire.deliver(FINAL)
    failing = wire.get(wire.path)["failing_since"]
    assert failing
    wire.fail_daily()
    wire.clock.advance(seconds=-15)
    wire.publish()
    wire.deliver(FINAL)
    assert (wire.get(wire.path)["state"], wire.get(wire.path)["failing_since"]) == ("active", failing)
    wire.clock.advance(seconds=15)
    wire.publish()
    wire.deliver(FINAL)
    shown = wire.get(wire.path)
    assert shown["state"] == "paused" and shown["paused_at"]
    with wire.storage.read() as tx:
        query = sa.select(notices.c.type, notices.c.subscription_id, notices.c.sent_at)
        found = tx.execute(query.where(notices.c.type != NoticeType.ABANDONED)).all()
    assert found == [("subscription.paused", uuid.UUID(shown["id"]), None)]


def test_failures_at_both_ends_of_five_days_pause_nothing_however_many(wire: Wire) -> None:
    """Nothing was sent between them, or the clock was put on: nobody knows that it failed all the time."""
    for jump in (PAUSE_AFTER, timedelta()):
        for _ in range(PAUSE_FAILURES):
            wire.publish()
            wire.deliver(FINAL)
        wire.clock.now += jump
    assert wire.get(wire.path)["state"] == "active"


def test_one_success_starts_the_count_anew(wire: Wire) -> None:
    wire.fail_daily()
    wire.publish()
    wire.deliver()
    wire.publish()
    wire.deliver(FINAL)
    wire.clock.now += PAUSE_AFTER
    wire.publish()
    wire.deliver(FINAL)
    assert wire.get(wire.path)["state"] == "active"


def test_who_failed_already_when_counting_began_is_counted_from_then_on(wire: Wire) -> None:
    wire.publish()
    wire.deliver(FINAL)
    with wire.storage.write() as tx:
        tx.execute(subscriptions.update().values(failure_counted_at=None))
    wire.fail_for_days()


def test_one_success_starts_the_five_days_anew(wire: Wire) -> None:
    wire.publish()
    wire.deliver(FINAL)
    wire.publish()
    wire.deliver()
    assert wire.get(wire.path)["failing_since"] is None
    wire.fail_daily()
    wire.clock.advance(days=-1)
    wire.publish()
    wire.deliver(FINAL)
    assert wire.get(wire.path)["state"] == "active"


def test_a_new_callback_has_not_failed_yet(wire: Wire) -> None:
    """Not even where the old one's answer comes after the change."""
    wire.fail_daily()
    wire.publish()
    [held] = wire.claim()
    wire.client.patch(wire.path, json={"callback": "https://new.example/"}, headers=wire.headers)
    wire.record(held, FINAL)
    shown = wire.get(wire.path)
    assert (shown["state"], shown["failing_since"]) == ("active", None)
    wire.publish()
    [held] = wire.claim()
    wire.client.patch(wire.path, json={"callback": "https://newer.example/"}, headers=wire.headers)
    wire.record(held, FINAL)
    assert wire.get(wire.path)["failing_since"] is None


def test_while_paused_nothing_is_sent_and_nothing_is_lost(wire: Wire) -> None:
    wire.fail_daily()
    wire.publish()
    wire.deliver(500)
    waiting = wire.get(f"{wire.path}/deliveries")["items"][0]
    assert wire.get(wire.path)["state"] == "paused"
    assert (waiting["state"], waiting["next_attempt_at"]) == ("due", None)
    release_id = wire.publish()
    wire.clock.advance(days=10)
    assert wire.deliver() == []
    newest = wire.get(f"{wire.path}/deliveries")["items"][0]
    assert (newest["release_id"], newest["state"], newest["next_attempt_at"]) == (release_id, "due", None)
    for path in ("test", "replay"):
        answer = wire.post(f"{wire.path}/{path}", {"since": "2026-01-01T00:00:00Z"} if path == "replay" else None)
        assert (answer.status_code, answer.json["code"]) == (409, "subscription_paused")
        assert "POST /v1/subscriptions/{id}/resume" in answer.json["detail"]


def test_resumed_it_gets_what_was_kept_in_order_and_the_newest_of_each_release(
    wire: Wire, queue: RecordingQueue
) -> None:
    wire.fail_for_days()
    first, second = wire.publish(), wire.publish()
    wire.correct(first)
    queue.nudges.clear()
    resumed = wire.post(f"{wire.path}/resume")
    assert resumed.status_code == 200
    assert (resumed.json["state"], resumed.json["failing_since"], resumed.json["paused_at"]) == ("active", None, None)
    assert queue.nudges == ["deliver"]
    assert told(wire.deliver()) == [("published", second), ("corrected", first)]
    assert wire.post(f"{wire.path}/resume").json["code"] == "not_paused"


def test_resumed_since_a_time_it_gets_all_that_it_missed_since_and_nothing_older(wire: Wire) -> None:
    """Also what was given up before the pause."""
    older = wire.fail_daily()
    since = iso(wire.clock() - timedelta(days=1, hours=1))
    missed = older.pop()
    last = wire.publish()
    wire.deliver(FINAL)
    assert wire.get(wire.path)["state"] == "paused"
    assert wire.post(f"{wire.path}/resume", {"since": since}).status_code == 200
    assert told(wire.deliver()) == [("published", missed), ("published", last)]


def test_a_time_to_come_gives_up_nothing_that_was_kept(wire: Wire) -> None:
    wire.fail_for_days()
    kept = wire.publish()
    answer = wire.post(f"{wire.path}/resume", {"since": iso(wire.clock() + timedelta(seconds=1))})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "future_since")
    assert wire.get(wire.path)["state"] == "paused"
    assert wire.post(f"{wire.path}/resume").status_code == 200
    assert ("published", kept) in told(wire.deliver())


def test_resumed_since_a_time_it_gets_nothing_that_was_corrected_since(wire: Wire) -> None:
    release_id = wire.fail_for_days()
    wire.correct(release_id)
    wire.post(f"{wire.path}/resume", {"since": "2026-01-01T00:00:00Z"})
    assert [event for event, release in told(wire.deliver()) if release == release_id] == ["corrected"]


def test_a_withdrawal_reaches_a_resumed_subscription_however_old_it_is(wire: Wire) -> None:
    release_id = wire.publish()
    wire.deliver()
    wire.fail_for_days()
    wire.withdraw(release_id)
    kept = wire.publish()
    wire.clock.advance(days=30)
    wire.post(f"{wire.path}/resume", {"since": iso(wire.clock())})
    assert told(wire.deliver()) == [("withdrawn", release_id)]
    assert kept


def test_what_was_withdrawn_while_paused_and_never_sent_is_not_sent_at_all(wire: Wire) -> None:
    wire.fail_for_days()
    release_id = wire.publish()
    wire.withdraw(release_id)
    wire.post(f"{wire.path}/resume", {"since": "2026-01-01T00:00:00Z"})
    assert release_id not in [release for _, release in told(wire.deliver())]


def test_a_paused_subscription_still_ends(wire: Wire) -> None:
    wire.fail_for_days()
    wire.publish()
    assert wire.client.delete(wire.path, headers=wire.headers).status_code == 204
    with wire.storage.read() as tx:
        states = set(tx.execute(sa.select(deliveries.c.state)).scalars())
    assert states == {DeliveryState.ABANDONED}
