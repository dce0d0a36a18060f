"""Two that do something to one release in the same moment: PostgreSQL lets them, SQLite has one wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from service.deliveries import plan_due
from service.errors import Invalid, NotFound
from service.model import Attempt, DeliveryState, EventType, ReleaseState, Withdrawal
from service.publishing import publish_due
from service.releases import RevisionMismatch, get_release, revise_release, withdraw_release
from service.retries import CLAIM
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.subscriptions import change_subscription, delete_subscription, get_subscription, resume_subscription
from tests.core.newsroom import Newsroom, claim, owed, subscribe

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

PATIENCE_SECONDS = 20.0


class Rival(threading.Thread):
    """Does its work in a thread of its own, as another process would, and keeps what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.result = error

    def start_and_settle(self, storage: Storage) -> None:
        """Until it is done, or waits for a lock that somebody else holds."""
        self.start()
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with storage.engine.connect() as connection:
            for _ in range(int(PATIENCE_SECONDS * 100)):
                self.join(0.01)
                if not self.is_alive() or connection.execute(waiting).scalar_one():
                    return
        raise AssertionError("the rival neither ended nor waits")


@contextmanager
def just_before(storage: Storage, statement: str, rival: Rival) -> Iterator[None]:
    """Have the rival come just before this thread's first statement that begins so."""
    thread = threading.current_thread()

    def strike(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if sql.startswith(statement) and threading.current_thread() is thread and rival.ident is None:
            rival.start_and_settle(storage)

    sa.event.listen(storage.engine, "before_cursor_execute", strike)
    yield
    sa.event.remove(storage.engine, "before_cursor_execute", strike)
    assert rival.ident is not None, "the rival had no chance"
    rival.join(PATIENCE_SECONDS)
    assert not rival.is_alive()


def test_of_two_corrections_the_second_is_told_that_it_is_late(newsroom: Newsroom) -> None:
    """Not that there is no such release."""
    release = newsroom.accept()

    def correct(*languages: str) -> Any:
        return revise_release(
            newsroom.storage, release.id, newsroom.changed(*languages), newsroom.clock(), newsroom.desk,
            is_expected={1}.__contains__, siblings_unaffected=True,
        )

    rival = Rival(lambda: correct("en"))
    with just_before(newsroom.storage, "INSERT INTO revisions", rival):
        correct("zh-Hans")
    assert isinstance(rival.result, RevisionMismatch)
    assert rival.result.params == {"revision": 2}


def test_two_releases_never_stand_in_each_others_place(newsroom: Newsroom) -> None:
    """Their pages would lead a reader in a circle."""
    one, other = newsroom.accept(), newsroom.accept()

    def withdraw(release: Any, successor: Any) -> Any:
        withdrawal = Withdrawal(reason={"en": "An error."}, superseded_by=successor.id)
        return withdraw_release(
            newsroom.storage, release.id, withdrawal, newsroom.clock(), newsroom.desk, is_expected=lambda revision: True
        )

    rival = Rival(lambda: withdraw(other, one))
    with just_before(newsroom.storage, "UPDATE releases", rival):
        withdraw(one, other)
    assert isinstance(rival.result, Invalid)
    assert get_release(newsroom.storage, other.id).state is ReleaseState.PUBLISHED


def test_whoever_takes_a_release_while_its_withdrawal_is_planned_is_told(newsroom: Newsroom) -> None:
    subscription = subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    newsroom.withdraw(release)
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)
    rival = Rival(lambda: claim(newsroom, subscription))
    with just_before(newsroom.storage, "SELECT subscriptions", rival):
        plan_due(newsroom.storage, newsroom.profile, newsroom.clock)
    was_taken = not isinstance(rival.result, AssertionError)
    is_told = any(delivery.event_type is EventType.RELEASE_WITHDRAWN for delivery in owed(newsroom, release))
    assert was_taken is is_told


def test_a_change_does_not_bring_back_a_subscription_that_is_deleted_meanwhile(newsroom: Newsroom) -> None:
    subscription_id = subscribe(newsroom)
    rival = Rival(lambda: delete_subscription(newsroom.storage, subscription_id, newsroom.desk, newsroom.clock()))
    with just_before(newsroom.storage, "UPDATE subscriptions", rival):
        change_subscription(newsroom.storage, subscription_id, {"languages": ["en"]}, newsroom.desk)
    assert rival.result is None
    with pytest.raises(NotFound):
        get_subscription(newsroom.storage, subscription_id, newsroom.desk)


def test_what_is_planned_while_its_subscription_ends_is_given_up(newsroom: Newsroom) -> None:
    """Planning has read who is to get it; then the subscription ends, with nothing yet to give up."""
    subscription_id = subscribe(newsroom)
    release = newsroom.accept()
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)
    rival = Rival(lambda: delete_subscription(newsroom.storage, subscription_id, newsroom.desk, newsroom.clock()))
    with just_before(newsroom.storage, "INSERT INTO payloads", rival):
        plan_due(newsroom.storage, newsroom.profile, newsroom.clock)
    with newsroom.storage.write() as tx:
        now = newsroom.clock()
        assert claims.hold_due(tx, "courier", limit=9, now=now, until=now).read() == []
    assert [delivery.state for delivery in owed(newsroom, release)] == [DeliveryState.ABANDONED]


@pytest.mark.parametrize("is_delete_first", [True, False])
def test_what_fails_while_its_subscription_is_being_deleted_is_given_up(
    newsroom: Newsroom, is_delete_first: bool
) -> None:
    """Whichever of the two comes first: the deletion finds it in flight, or its failure finds the deletion."""
    subscription_id = subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    now = newsroom.clock()
    with newsroom.storage.write() as tx:
        [held] = claims.hold_due(tx, "courier", limit=1, now=now, until=now + CLAIM).read()
    attempt = Attempt(number=1, started_at=now, duration_ms=0, status=500)
    outcome = Outcome(claim=held, attempt=attempt, state=DeliveryState.DUE, next_attempt_at=now + timedelta(days=1))

    def record() -> None:
        with newsroom.storage.write() as tx:
            record_outcomes(tx, make_report([outcome], tx.dialect))

    def delete() -> None:
        delete_subscription(newsroom.storage, subscription_id, newsroom.desk, newsroom.clock())

    rival, statement = Rival(delete), "UPDATE subscriptions"
    if is_delete_first:
        rival, statement = Rival(record), "UPDATE deliveries"
    with just_before(newsroom.storage, statement, rival):
        (delete if is_delete_first else record)()
    assert rival.result is None
    assert [delivery.state for delivery in owed(newsroom, release)] == [DeliveryState.ABANDONED]


def test_a_failure_and_a_new_callback_do_not_wait_for_each_other(newsroom: Newsroom) -> None:
    """And what failed goes to the new host."""
    subscription_id = subscribe(newsroom)
    newsroom.accept()
    newsroom.swap()
    now = newsroom.clock()
    with newsroom.storage.write() as tx:
        [held] = claims.hold_due(tx, "courier", limit=1, now=now, until=now + CLAIM).read()
    attempt = Attempt(number=1, started_at=now, duration_ms=0, status=500)
    outcome = Outcome(claim=held, attempt=attempt, state=DeliveryState.DUE, next_attempt_at=now)
    change = {"callback": "https://new.example/"}
    rival = Rival(lambda: change_subscription(newsroom.storage, subscription_id, change, newsroom.desk))
    moment = just_before(newsroom.storage, "SELECT subscriptions.id, subscriptions.state", rival)
    with moment, newsroom.storage.write() as tx:
        record_outcomes(tx, make_report([outcome], tx.dialect))
    assert rival.result.callback == "https://new.example/"
    with newsroom.storage.write() as tx:
        [again] = claims.hold_due(tx, "courier", limit=1, now=now, until=now + CLAIM).read()
    assert (again.callback, again.host) == ("https://new.example/", "new.example:443")


def test_what_is_planned_while_its_subscription_is_resumed_is_sent(newsroom: Newsroom) -> None:
    """Planning has read that it is paused; then it is resumed, with nothing yet to release."""
    subscription_id = subscribe(newsroom)
    newsroom.accept()
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)
    with newsroom.storage.write() as tx:
        tx.execute(sa.text("UPDATE subscriptions SET state = 'paused'"))
    rival = Rival(
        lambda: resume_subscription(newsroom.storage, subscription_id, None, newsroom.clock(), newsroom.desk)
    )
    with just_before(newsroom.storage, "INSERT INTO payloads", rival):
        plan_due(newsroom.storage, newsroom.profile, newsroom.clock)
    claim(newsroom, subscription_id)


def test_a_withdrawal_waits_for_the_planning_of_what_it_withdraws(newsroom: Newsroom) -> None:
    """Else what one worker has planned goes out after the other has seen nobody who must be told.

    The clock was set back, or the other would meet the older event first and wait there.
    """
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)

    def withdraw() -> None:
        newsroom.clock.advance(hours=-1)
        newsroom.withdraw(release)
        newsroom.swap()

    rival = Rival(withdraw)
    with just_before(newsroom.storage, "INSERT INTO deliveries", rival):
        plan_due(newsroom.storage, newsroom.profile, newsroom.clock)
    newsroom.clock.advance(hours=2)
    with newsroom.storage.write() as tx:
        now = newsroom.clock()
        held = claims.hold_due(tx, "courier", limit=9, now=now, until=now).read()
    assert rival.result is None
    assert held == []
