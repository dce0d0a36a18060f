"""Planning in parts: whatever comes between two of them, each subscription gets one delivery of what it is owed."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from service import deliveries as planning
from service import subscriptions
from service.deliveries import plan_due, plan_parts
from service.model import Claim, DeliveryState, Event, EventType, Release
from service.publishing import publish_due
from service.retries import CLAIM
from service.storage import Storage, claims, deliveries, engine, events, heartbeats
from service.storage.tables import subscriptions as subscription_rows
from tests.core.newsroom import Newsroom

OWED_TO = 7
PART = 3
PUBLISHED, CORRECTED, WITHDRAWN = (
    EventType.RELEASE_PUBLISHED, EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN,
)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts for seven subscriptions."""
    monkeypatch.setattr(planning, "SUBSCRIPTION_BATCH", PART)
    monkeypatch.setattr(planning, "FIRST_BATCH", PART)
    monkeypatch.setattr(engine, "GIVE_WAY_SECONDS", 0)


@pytest.fixture
def partners(newsroom: Newsroom) -> list[uuid.UUID]:
    return [subscribe(newsroom, number) for number in range(OWED_TO)]


def subscribe(newsroom: Newsroom, number: int, **more: Any) -> uuid.UUID:
    order = {"partner": f"P{number}", "channel": "webhook", "callback": f"https://p{number}.example/"}
    return subscriptions.subscribe(newsroom.storage, order | {"languages": ["en"]} | more, newsroom.clock()).id


def show(newsroom: Newsroom) -> None:
    """Readers see what is accepted; nothing is planned of it."""
    newsroom.clock.advance(seconds=1)
    assert publish_due(newsroom.storage, newsroom.profile, newsroom.clock).count == 1


def begin(newsroom: Newsroom) -> Iterator[int]:
    """Plan the first part; the rest whenever the caller wants."""
    parts = plan_parts(newsroom.storage, newsroom.profile, newsroom.clock)
    assert next(parts) == PART
    return parts


def plan_rest(newsroom: Newsroom) -> int:
    return plan_due(newsroom.storage, newsroom.profile, newsroom.clock)


def claim_all(newsroom: Newsroom) -> list[Claim]:
    now = newsroom.clock()
    with newsroom.storage.write() as tx:
        return claims.hold_due(tx, "courier", limit=99, now=now, until=now + CLAIM).read()


def owed(newsroom: Newsroom, release: Release) -> Counter[tuple[uuid.UUID, EventType, DeliveryState]]:
    with newsroom.storage.read() as tx:
        rows = deliveries.list_for_release(tx, release.id, limit=99, before=None)
    return Counter((row.subscription_id, row.event_type, row.state) for row in rows)


def once(
    subscription_ids: list[uuid.UUID], type: EventType = PUBLISHED, state: DeliveryState = DeliveryState.DUE
) -> Counter[Any]:
    return Counter((subscription_id, type, state) for subscription_id in subscription_ids)


def test_planning_goes_on_where_a_worker_died_between_two_parts(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    release = newsroom.accept()
    show(newsroom)
    begin(newsroom)
    assert owed(newsroom, release) == once(partners[:PART])
    assert plan_rest(newsroom) == OWED_TO - PART
    assert owed(newsroom, release) == once(partners)
    assert plan_rest(newsroom) == 0


def test_the_first_of_an_event_are_planned_sooner_than_the_parts_behind_them(
    newsroom: Newsroom, partners: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that they are sent to meanwhile; a part that is smaller than the others is not taken for the last."""
    monkeypatch.setattr(planning, "FIRST_BATCH", PART - 1)
    release = newsroom.accept()
    show(newsroom)
    assert list(plan_parts(newsroom.storage, newsroom.profile, newsroom.clock)) == [2, 3, 2]
    assert owed(newsroom, release) == once(partners)


def test_of_a_part_that_fails_nothing_stays(
    newsroom: Newsroom, partners: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has retired, rendered and written by then; only its commit is missing."""
    release = newsroom.accept()
    show(newsroom)
    begin(newsroom)

    def die(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(events, "mark_planned_to", die)
        assert plan_rest(newsroom) == 0
    assert owed(newsroom, release) == once(partners[:PART])
    assert plan_rest(newsroom) == OWED_TO - PART
    assert owed(newsroom, release) == once(partners)


def test_an_event_that_cannot_be_planned_keeps_none_behind_it_waiting(
    newsroom: Newsroom, partners: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = newsroom.accept()
    show(newsroom)
    render = planning.make_payload

    def stumble(event: Event, *rest: Any) -> Any:
        if event.release_id == ill.id:
            raise RuntimeError
        return render(event, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(planning, "make_payload", stumble)
        for _ in range(2):
            well = newsroom.accept()
            show(newsroom)
            assert plan_rest(newsroom) == OWED_TO
            assert (owed(newsroom, well), owed(newsroom, ill)) == (once(partners), Counter())
    assert plan_rest(newsroom) == OWED_TO
    assert owed(newsroom, ill) == once(partners)


def test_two_workers_share_the_parts(newsroom: Newsroom, partners: list[uuid.UUID]) -> None:
    """Each goes on where the other has come to."""
    release = newsroom.accept()
    show(newsroom)
    one, other = begin(newsroom), plan_parts(newsroom.storage, newsroom.profile, newsroom.clock)
    assert [next(other), next(one), next(other, None), next(one, None)] == [PART, OWED_TO - 2 * PART, None, None]
    assert owed(newsroom, release) == once(partners)


def test_rival_workers_plan_everything_once(newsroom: Newsroom, partners: list[uuid.UUID]) -> None:
    released = [newsroom.accept() for _ in range(3)]
    newsroom.clock.advance(seconds=1)
    publish_due(newsroom.storage, newsroom.profile, newsroom.clock)
    counts, barrier = [], threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        counts.append(plan_rest(newsroom))

    rivals = [threading.Thread(target=work) for _ in range(4)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert sum(counts) == len(released) * OWED_TO
    assert all(owed(newsroom, release) == once(partners) for release in released)


def test_others_write_between_two_parts(
    newsroom: Newsroom, partners: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are let in, and find nothing locked; after the last part there is nobody to wait for."""
    newsroom.accept()
    show(newsroom)
    rival, written = Storage(newsroom.storage.url, busy_seconds=0.001), []

    def write(_: Storage) -> None:
        with rival.write() as tx:
            heartbeats.keep_heartbeat(tx, "rival", newsroom.clock())
        written.append(True)

    monkeypatch.setattr(Storage, "give_way", write)
    assert plan_rest(newsroom) == OWED_TO
    rival.close()
    assert len(written) == OWED_TO // PART


def test_the_sweep_finds_what_is_planned_in_part(newsroom: Newsroom, partners: list[uuid.UUID]) -> None:
    newsroom.accept()
    show(newsroom)
    begin(newsroom)
    with newsroom.storage.read() as tx:
        assert events.find_unplanned(tx)
    plan_rest(newsroom)
    with newsroom.storage.read() as tx:
        assert events.find_unplanned(tx) is None


def test_the_first_part_is_sent_while_the_next_is_planned(newsroom: Newsroom, partners: list[uuid.UUID]) -> None:
    newsroom.accept()
    show(newsroom)
    begin(newsroom)
    assert {held.subscription_id for held in claim_all(newsroom)} == set(partners[:PART])


def test_who_ends_or_changes_before_its_turn_is_owed_what_it_orders_then(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    release = newsroom.accept()
    show(newsroom)
    begin(newsroom)
    ended, narrowed, paused = partners[PART:PART + 3]
    subscriptions.delete_subscription(newsroom.storage, ended, newsroom.desk, newsroom.clock())
    elsewhere = next(term for term in newsroom.profile.categories if term not in release.categories)
    subscriptions.change_subscription(newsroom.storage, narrowed, {"categories": [elsewhere]}, newsroom.desk)
    set_state(newsroom.storage, paused, "paused")
    plan_rest(newsroom)
    assert owed(newsroom, release) == once([id for id in partners if id not in (ended, narrowed)])
    with newsroom.storage.read() as tx:
        [kept] = deliveries.list_for_subscription(tx, paused, limit=9, before=None)
    assert kept.next_attempt_at is None
    assert paused not in {held.subscription_id for held in claim_all(newsroom)}
    subscriptions.resume_subscription(newsroom.storage, paused, None, newsroom.clock(), newsroom.desk)
    assert [held.subscription_id for held in claim_all(newsroom)] == [paused]


def test_who_ends_or_changes_after_its_turn_has_what_was_planned(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    release = newsroom.accept()
    show(newsroom)
    begin(newsroom)
    ended, narrowed = partners[:2]
    subscriptions.delete_subscription(newsroom.storage, ended, newsroom.desk, newsroom.clock())
    elsewhere = next(term for term in newsroom.profile.categories if term not in release.categories)
    subscriptions.change_subscription(newsroom.storage, narrowed, {"categories": [elsewhere]}, newsroom.desk)
    plan_rest(newsroom)
    assert owed(newsroom, release) == once([ended], state=DeliveryState.ABANDONED) + once(partners[1:])


def test_who_stood_when_it_went_public_is_owed_it_also_behind_one_who_came_since(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    """Who comes while it is planned may get it, once, and never in another's place."""
    release = newsroom.accept()
    show(newsroom)
    begin(newsroom)
    late = [subscribe(newsroom, number) for number in range(OWED_TO, OWED_TO + 2)]
    assert plan_rest(newsroom) == OWED_TO - PART + len(late)
    assert owed(newsroom, release) == once(partners + late)


def test_a_newer_revision_takes_over_between_two_parts(newsroom: Newsroom, partners: list[uuid.UUID]) -> None:
    """Those whose turn had come get the newer one in its place, the others the newer one alone."""
    release = newsroom.accept()
    show(newsroom)
    parts = begin(newsroom)
    newsroom.correct(release, "en", siblings_unaffected=True)
    show(newsroom)
    assert list(parts) == [0, PART, PART, OWED_TO - 2 * PART]
    retired = once(partners[:PART], state=DeliveryState.SUPERSEDED)
    assert owed(newsroom, release) == retired + once(partners, CORRECTED)


def test_an_older_revision_is_not_sent_to_those_whose_turn_is_still_to_come(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    """The newer one is on its way to them; what it replaces may be wrong."""
    release = newsroom.accept()
    newsroom.swap()
    newsroom.correct(release, "en", siblings_unaffected=True)
    show(newsroom)
    parts = begin(newsroom)
    held = claim_all(newsroom)
    assert {claim.subscription_id for claim in held} == set(partners[:PART])
    assert all(b'"revision":2' in claim.body for claim in held)
    list(parts)
    rest = claim_all(newsroom)
    assert {claim.subscription_id for claim in rest} == set(partners[PART:])
    assert all(b'"revision":2' in claim.body for claim in rest)


def test_of_a_withdrawal_between_two_parts_those_are_told_who_were_sent_the_release(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    release = newsroom.accept()
    show(newsroom)
    parts = begin(newsroom)
    assert len(claim_all(newsroom)) == PART
    newsroom.withdraw(release)
    show(newsroom)
    list(parts)
    in_flight = once(partners[:PART])
    assert owed(newsroom, release) == in_flight + once(partners[:PART], WITHDRAWN)


def test_nobody_is_sent_what_is_withdrawn_while_the_withdrawal_is_planned(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    """Also not those to whom it was never sent, and who need not be told."""
    release = newsroom.accept()
    newsroom.swap()
    with newsroom.storage.write() as tx:
        now = newsroom.clock()
        told = claims.hold_due(tx, "courier", limit=2, now=now, until=now + CLAIM).read()
    newsroom.withdraw(release)
    show(newsroom)
    assert claim_all(newsroom) == [], "before its planning"
    parts = plan_parts(newsroom.storage, newsroom.profile, newsroom.clock)
    next(parts)
    newsroom.clock.advance(seconds=60)
    sent = claim_all(newsroom) + [held for _ in parts for held in claim_all(newsroom)]
    assert {held.subscription_id for held in sent} == {held.subscription_id for held in told}
    assert all(b"release.withdrawn" in held.body for held in sent)


def test_a_withdrawal_is_planned_before_what_went_public_earlier(
    newsroom: Newsroom, partners: list[uuid.UUID]
) -> None:
    withdrawn = newsroom.accept()
    newsroom.swap()
    claim_all(newsroom)
    release = newsroom.accept()
    show(newsroom)
    parts = begin(newsroom)
    newsroom.withdraw(withdrawn)
    show(newsroom)
    next(parts)
    assert owed(newsroom, release) == once(partners[:PART])
    assert {type for _, type, _ in owed(newsroom, withdrawn)} == {PUBLISHED, WITHDRAWN}
    list(parts)
    assert owed(newsroom, release) == once(partners)


def set_state(storage: Storage, subscription_id: uuid.UUID, state: str) -> None:
    """As the courier does after days of failures."""
    with storage.write() as tx:
        tx.execute(subscription_rows.update().where(subscription_rows.c.id == subscription_id).values(state=state))
