"""A courier and somebody else at the same rows in the same moment: PostgreSQL lets them, SQLite has one wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from service.deliveries import plan_due
from service.errors import StorageUnavailable
from service.model import Attempt, Claim, DeliveryState, EventType, Release
from service.publishing import publish_due
from service.retries import CLAIM
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from tests.core.newsroom import OVERTAKING, Newsroom, owed, subscribe
from tests.core.test_races import PATIENCE_SECONDS, Rival, just_before
from workers.ledger import Ledger

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def take(newsroom: Newsroom) -> list[Claim]:
    now = newsroom.clock()
    with newsroom.storage.write() as tx:
        return claims.hold_due(tx, "courier", limit=9, now=now, until=now + CLAIM).read()


def conclude(newsroom: Newsroom, held: Claim, status: int) -> None:
    now, is_taken = newsroom.clock(), status == 200
    attempt = Attempt(number=held.attempt, started_at=now, duration_ms=0, status=status)
    outcome = Outcome(
        claim=held, attempt=attempt, state=DeliveryState.DELIVERED if is_taken else DeliveryState.DUE,
        next_attempt_at=None if is_taken else now + timedelta(seconds=5),
    )
    with newsroom.storage.write() as tx:
        record_outcomes(tx, make_report([outcome], tx.dialect))


def test_who_has_waited_for_his_turn_claims_from_then_on(newsroom: Newsroom) -> None:
    """By the time at which it came, the claim would be over when it begins, and another would send the same."""
    subscribe(newsroom)
    newsroom.accept()
    newsroom.swap()
    rival = Rival(lambda: Ledger(newsroom.storage, "late", newsroom.clock).record_and_claim([], (9, 9)))
    with newsroom.storage.write() as tx:
        claims.take_turn(tx)
        rival.start_and_settle(newsroom.storage)
        newsroom.clock.now += CLAIM
    rival.join()
    assert len(rival.result) == 1
    assert take(newsroom) == []


def test_who_freezes_in_his_turn_holds_up_the_others_for_a_while_only(
    newsroom: Newsroom, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, it would let go; a machine that is stopped or lost keeps what its transactions have locked."""
    subscribe(newsroom)
    newsroom.accept()
    newsroom.swap()
    monkeypatch.setattr("service.storage.engine.SILENT_SECONDS", 0.2)
    frozen = Storage(database_url)
    rival = Rival(lambda: Ledger(newsroom.storage, "other", newsroom.clock).record_and_claim([], (9, 9)))
    with pytest.raises(StorageUnavailable), frozen.write() as tx:
        claims.take_turn(tx)
        rival.start()
        rival.join(PATIENCE_SECONDS)
        claims.take_turn(tx)
    assert len(rival.result) == 1
    with frozen.write() as tx:
        claims.take_turn(tx)
    frozen.close()


@OVERTAKING
def test_what_fails_while_something_newer_is_planned_is_not_sent_after_it(
    newsroom: Newsroom, overtake: Callable[[Newsroom, Release], Release]
) -> None:
    """Planning has seen it in flight, and what records the failure can't see what is planned."""
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    [held] = take(newsroom)
    overtake(newsroom, release)
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)
    rival = Rival(lambda: conclude(newsroom, held, 500))
    with just_before(newsroom.storage, "INSERT INTO deliveries", rival):
        plan_due(newsroom.storage, newsroom.profile, newsroom.clock)
    assert rival.result is None
    sent = []
    for _ in range(3):
        for due in take(newsroom):
            sent.append(due.delivery_id)
            conclude(newsroom, due, 200)
        newsroom.clock.advance(seconds=9)
    newest, older = owed(newsroom, release)
    assert older.event_type is EventType.RELEASE_PUBLISHED
    assert sent == [newest.id]
    assert older.state is DeliveryState.SUPERSEDED
