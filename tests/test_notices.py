"""Owners of paused subscriptions are told by e-mail, once, by a real SMTP server."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from service import subscriptions
from service.clock import utc_now
from service.config import Profile
from service.deliveries import plan_test
from service.mail import read_mail_server
from service.messages import has_message
from service.model import Attempt, DeliveryState, Subscription
from service.replays import redeliver
from service.retries import CLAIM, PAUSE_AFTER, PAUSE_FAILURES, TELL_AGAIN_AFTER, TELL_WITHIN, WAITS
from service.storage import Storage, claims
from service.storage import notices as stored
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.storage.tables import notices
from service.validation import validate_release
from tests.conftest import ROOT, VAULT, RecordingQueue, StoppedClock
from tests.core.newsroom import Newsroom
from tests.factories import make_desk
from tests.services.smtp import Mailbox, run_smtp
from workers import context

ORDER: dict[str, Any] = {
    "partner": "每日新闻", "channel": "webhook", "callback": "https://daily.example/hook?token=private",
    "languages": ["en"], "contact_email": "it@daily.example",
}
Pause = Callable[..., Subscription]
Tell = Callable[..., None]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with run_smtp() as running:
        yield running


@pytest.fixture
def pause(storage: Storage, clock: StoppedClock) -> Pause:
    """Subscriptions whose receivers have failed for days, the last time as told."""

    def fail(made: list[Subscription], status: int | None, error: str | None) -> None:
        for subscription in made:
            plan_test(storage, subscription, clock())
        attempt = Attempt(number=1, started_at=clock(), duration_ms=0, status=status, error=error)
        with storage.write() as tx:
            held = claims.hold_due(tx, "me", limit=99, now=clock(), until=clock() + CLAIM).read()
            failed = [
                Outcome(claim=claim, attempt=attempt, state=DeliveryState.ABANDONED, next_attempt_at=None)
                for claim in held
            ]
            assert len(failed) == len(made) and not record_outcomes(tx, make_report(failed, tx.dialect))

    def pause(status: int | None = 503, error: str | None = None, count: int = 1, **changes: Any) -> Subscription:
        order = {name: value for name, value in (ORDER | changes).items() if value is not None}
        # One host takes no more than a few at once.
        callbacks = [order["callback"].replace("daily", f"daily{number}") for number in range(count)]
        made = [subscriptions.subscribe(storage, order | {"callback": each}, clock()) for each in callbacks]
        for _ in range(PAUSE_FAILURES):
            fail(made, 404, None)
            clock.now += PAUSE_AFTER / PAUSE_FAILURES
        fail(made, status, error)
        return made[0]

    return pause


@pytest.fixture
def tell(
    workers_app: Celery, storage: Storage, profile: Profile, mailbox: Mailbox, clock: StoppedClock
) -> Tell:
    from workers.notify import tell_owners

    server = read_mail_server({"DIGLOT_SMTP_URL": mailbox.url, "DIGLOT_MAIL_FROM": "Press <press@news.example>"})
    assert server
    return lambda **other: tell_owners(other.get("storage", storage), other.get("profile", profile), server, clock)


def rows(storage: Storage) -> list[Any]:
    with storage.read() as tx:
        return list(tx.execute(sa.select(notices).order_by(notices.c.id)))


def test_the_partner_is_told_once_in_both_languages_what_failed_and_how_to_resume(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    paused = pause()
    tell()
    tell()
    [message] = mailbox.messages()
    assert mailbox.received[0][1] == ["it@daily.example"]
    assert message["subject"] == "已暂停：每日新闻 的订阅 / Paused: the subscription of 每日新闻"
    chinese, english = message.get_content().split("-" * 40)
    for text in (chinese, english):
        assert f"POST http://127.0.0.1:8080/v1/subscriptions/{paused.id}/resume" in text
        assert "2026-11-24 16:00+08:00" in text and "2026-11-29 16:00+08:00" in text
        assert "503" in text and "`since`" in text and "daily0.example" in text and "private" not in text
    assert "内容没有丢失" in chinese and "Nothing is lost" in english
    [row] = rows(storage)
    assert (row.sent_at, row.next_attempt_at) == (clock(), None)


def test_without_an_address_of_the_partner_the_newsroom_is_told(
    pause: Pause, tell: Tell, mailbox: Mailbox
) -> None:
    pause(contact_email=None)
    tell()
    assert mailbox.received[0][1] == ["press@newsroom.example"]


def test_where_nobody_has_an_address_the_notice_stays_as_a_record(
    pause: Pause, tell: Tell, mailbox: Mailbox, profile: Profile, storage: Storage
) -> None:
    pause(contact_email=None)
    tell(profile=dataclasses.replace(profile, contact_email=None))
    [row] = rows(storage)
    assert (row.sent_at, row.next_attempt_at, mailbox.received) == (None, None, [])


@pytest.mark.parametrize(("status", "error", "said"), [
    (301, None, ("301，即跳转", "301, a redirect")), (404, None, ("404，拒收", "404: it refused")),
    (500, None, ("500，当时", "500: it could not")), (None, "tls_failed", ("服务器证书", "certificate")),
    (None, "unsendable", ("未能发出（unsendable）", "could not send it (unsendable)")),
])
def test_the_last_failure_is_told_in_words(
    pause: Pause, tell: Tell, mailbox: Mailbox, status: int | None, error: str | None, said: tuple[str, str]
) -> None:
    pause(status, error)
    tell()
    text = mailbox.messages()[0].get_content()
    assert all(words in text for words in said)


def test_each_error_that_tells_of_the_receiver_has_words() -> None:
    from service.retries import _ERRORS_OF_OURS
    from workers.transfers import _ERRORS

    private = {"address_refused", "port_refused", "headers_too_large", "bad_response", "not_wordpress"}
    for error in {*_ERRORS.values(), *private} - (_ERRORS_OF_OURS - private):
        assert has_message(f"mail.paused.error.{error}"), error


def test_a_mail_server_that_fails_is_tried_again_with_the_same_message_until_it_takes_it(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    pause()
    mailbox.refuse_data = "451 4.3.0 Later"
    tell()
    [row] = rows(storage)
    assert row.sent_at is None and clock() + WAITS[0] <= row.next_attempt_at <= clock() + WAITS[0] * 1.2
    mailbox.refuse_data = None
    tell()
    assert mailbox.received == []
    clock.now = row.next_attempt_at
    tell()
    [message] = mailbox.messages()
    assert message["message-id"] == f"<notice.{row.id.hex}@news.example>"
    assert message["date"].datetime == row.created_at.replace(microsecond=0)
    assert rows(storage)[0].sent_at == clock()


@pytest.mark.parametrize(("reply", "tries"), [("550 5.1.1 No such user", 1), ("451 4.3.0 Later", len(WAITS) + 1)])
def test_what_the_mail_server_will_not_take_is_given_up(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock, reply: str, tries: int
) -> None:
    pause()
    mailbox.refuse = reply
    [row] = rows(storage)
    while row.next_attempt_at:
        clock.now = row.next_attempt_at
        tell()
        [row] = rows(storage)
    assert (row.attempt, row.sent_at, mailbox.received) == (tries, None, [])


def test_a_pause_that_nobody_could_be_told_of_for_a_day_is_told_nobody_any_more(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    """The mail server is set only then."""
    pause()
    clock.now += TELL_WITHIN
    with storage.read() as tx:
        assert not stored.has_due(tx, clock())
    tell()
    assert mailbox.received == []


def test_a_pause_of_before_a_clock_was_set_back_is_told_at_once(
    pause: Pause, tell: Tell, mailbox: Mailbox, clock: StoppedClock
) -> None:
    pause()
    clock.advance(days=-30)
    tell()
    assert len(mailbox.messages()) == 1


def test_what_is_resumed_before_it_was_told_is_told_nobody(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    """Nor is the resuming, which stands among the notices."""
    paused = pause()
    subscriptions.resume_subscription(storage, paused.id, None, clock(), make_desk(storage))
    tell()
    assert mailbox.received == []
    assert [row.type for row in rows(storage)] == ["subscription.paused", "subscription.resumed"]


def end(storage: Storage, subscription: Subscription, at: Any, callback: str | None = None) -> None:
    """Its receiver, or another one that it had before, answers 410."""
    with storage.write() as tx:
        subscriptions.end_gone(tx, subscription.id, callback or subscription.callback, at)


def test_whose_receiver_has_answered_410_is_told_once_what_to_do_if_it_was_a_mistake(
    tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    ended = subscriptions.subscribe(storage, ORDER, clock())
    for _ in range(2):
        end(storage, ended, clock())
        tell()
    [message] = mailbox.messages()
    assert mailbox.received[0][1] == ["it@daily.example"]
    assert message["subject"] == "已终止：每日新闻 的订阅 / Ended: the subscription of 每日新闻"
    for text in message.get_content().split("-" * 40):
        assert [line.strip() for line in text.splitlines() if "://" in line] == [
            f"GET http://127.0.0.1:8080/v1/subscriptions/{ended.id}", "POST http://127.0.0.1:8080/v1/subscriptions",
            "POST http://127.0.0.1:8080/v1/subscriptions/{id}/replay",
        ]
        assert "410" in text and "2026-11-24 16:00+08:00" in text and "`since`" in text
        assert "daily.example" in text and "private" not in text
    [row] = rows(storage)
    assert (row.type, row.status, row.sent_at, row.next_attempt_at) == ("subscription.ended", 410, clock(), None)


def test_nobody_is_told_who_has_ended_it_in_another_way_or_has_another_callback(
    storage: Storage, clock: StoppedClock
) -> None:
    moved, unsubscribed = (subscriptions.subscribe(storage, ORDER, clock()) for _ in range(2))
    end(storage, moved, clock(), "https://old.example/")
    with storage.write() as tx:
        subscriptions.end_subscription(tx, unsubscribed.id, "unsubscribed")
    assert rows(storage) == []


def test_whoever_deletes_an_ended_subscription_before_it_was_told_knows(
    tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    ended = subscriptions.subscribe(storage, ORDER, clock())
    end(storage, ended, clock())
    subscriptions.delete_subscription(storage, ended.id, make_desk(storage), clock())
    tell()
    assert mailbox.received == []


@pytest.fixture
def give_up(storage: Storage, profile: Profile, clock: StoppedClock, release_document: Any) -> Callable[..., None]:
    """Releases that a partner's receiver refuses for good, published or, after they were taken, withdrawn."""
    newsroom = Newsroom(storage, profile, clock, validate_release(release_document, profile))

    def answer(state: DeliveryState) -> None:
        attempt = Attempt(number=1, started_at=clock(), duration_ms=0, status=404)
        with storage.write() as tx:
            [claim] = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock() + CLAIM).read()
            outcome = Outcome(claim=claim, attempt=attempt, state=state, next_attempt_at=None)
            record_outcomes(tx, make_report([outcome], tx.dialect))

    def give_up(*, is_withdrawal: bool = False) -> None:
        release = newsroom.accept()
        newsroom.swap()
        if is_withdrawal:
            answer(DeliveryState.DELIVERED)
            newsroom.withdraw(release)
            newsroom.swap()
        answer(DeliveryState.ABANDONED)

    return give_up


def test_the_owner_is_told_in_both_languages_what_was_given_up_and_how_to_get_it(
    give_up: Callable[..., None], tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    subscriptions.subscribe(storage, ORDER, clock())
    give_up(is_withdrawal=True)
    tell()
    tell()
    [message] = mailbox.messages()
    assert mailbox.received[0][1] == ["it@daily.example"]
    assert message["subject"] == "已放弃：给 每日新闻 的撤回通知 / Given up: a withdrawal for 每日新闻"
    [row] = rows(storage)
    for text in message.get_content().split("-" * 40):
        assert f"POST http://127.0.0.1:8080/v1/deliveries/{row.delivery_id}/redeliver" in text
        assert "404" in text and "daily.example" in text and "private" not in text and "2026-11-24 16:00" in text
    assert (row.type, row.sent_at, row.next_attempt_at) == ("delivery.abandoned", clock(), None)


def test_of_many_that_are_given_up_one_mail_a_day_tells_but_of_every_withdrawal(
    give_up: Callable[..., None], tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    subscriptions.subscribe(storage, ORDER, clock())
    for is_withdrawal in (False, False, True, False, True):
        give_up(is_withdrawal=is_withdrawal)
        tell()
    subjects = [message["subject"].rpartition(" / ")[2] for message in mailbox.messages()]
    assert subjects == [f"Given up: a {what} for 每日新闻" for what in ("publication", "withdrawal", "withdrawal")]
    assert len(rows(storage)) == 5, "all of them are on record"
    clock.now += TELL_AGAIN_AFTER
    give_up()
    tell()
    assert len(mailbox.received) == 4


def test_what_is_sent_once_more_before_it_was_told_is_told_nobody(
    give_up: Callable[..., None], tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    subscriptions.subscribe(storage, ORDER, clock())
    give_up()
    [row] = rows(storage)
    redeliver(storage, row.delivery_id, clock(), make_desk(storage))
    tell()
    assert mailbox.received == []


def test_rival_workers_tell_of_each_pause_once(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage
) -> None:
    pause(count=12)
    rivals = [Storage(storage.url, busy_seconds=30, vault=VAULT) for _ in range(4)]
    threads = [threading.Thread(target=tell, kwargs={"storage": rival}) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rival in rivals:
        rival.close()
    assert len({message["message-id"] for message in mailbox.messages()}) == len(mailbox.received) == 12
    assert all(row.sent_at for row in rows(storage))


def test_a_worker_that_dies_after_its_claim_leaves_the_notice_to_another(
    pause: Pause, tell: Tell, mailbox: Mailbox, storage: Storage, clock: StoppedClock
) -> None:
    pause()
    with storage.write() as tx:
        [held] = stored.claim_due(tx, limit=9, now=clock(), until=clock() + CLAIM)
    tell()
    assert mailbox.received == []
    clock.now += CLAIM
    tell()
    with storage.write() as tx:
        assert not stored.conclude(tx, held, None, clock())
    assert len(mailbox.received) == 1 and rows(storage)[0].sent_at


@pytest.fixture
def set_mail(
    workers_app: Celery, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Sets up this process as a worker with a mail server, or without one."""

    def set_mail(url: str) -> None:
        environment = {
            "DIGLOT_DATA_DIR": str(tmp_path), "DIGLOT_PROFILE": str(ROOT / "newsroom.json"), "DIGLOT_SMTP_URL": url,
            "DIGLOT_MAIL_FROM": "press@news.example",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(context, "storage", lambda: storage)
        context.settings.cache_clear()

    yield set_mail
    context.settings.cache_clear()


@pytest.mark.parametrize("has_mail", [True, False])
def test_the_sweep_wakes_whoever_tells_where_a_mail_server_is_set(
    pause: Pause, mailbox: Mailbox, clock: StoppedClock, set_mail: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch, has_mail: bool,
) -> None:
    from workers.notify import notify
    from workers.sweep import sweep

    queue = RecordingQueue()
    monkeypatch.setattr(context, "queue", lambda: queue)
    set_mail(mailbox.url if has_mail else "")
    clock.now = utc_now() - PAUSE_AFTER
    pause()
    sweep()
    notify()
    assert ("notify" in queue.nudges) is has_mail
    assert len(mailbox.received) == has_mail


def test_a_mail_server_that_hangs_holds_one_thread_of_a_process(
    pause: Pause, clock: StoppedClock, set_mail: Callable[[str], None], storage: Storage
) -> None:
    from workers.notify import MOST_AT_ONCE, notify

    clock.now = utc_now() - PAUSE_AFTER
    pause(count=MOST_AT_ONCE + 1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        set_mail(f"smtp://127.0.0.1:{hanging.getsockname()[1]}")
        first = threading.Thread(target=notify)
        first.start()
        connection, _ = hanging.accept()
        notify()
        tries = sorted(row.attempt for row in rows(storage))
        connection.close()
    first.join()
    assert tries == [0, *[1] * MOST_AT_ONCE]
