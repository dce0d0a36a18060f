"""A claim holds a delivery for one worker, for a time; what a lost claim reports counts for nothing."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import Any

import pytest
import sqlalchemy as sa

from service import subscriptions
from service.deliveries import plan_test
from service.model import Attempt, Claim, DeliveryState, Subscription
from service.retries import CLAIM, FAILURES_APART, HOST_FAILURES
from service.storage import Storage, claims, deliveries, hosts
from service.storage.outcomes import Outcome, make_report, record_outcomes
from tests.conftest import StoppedClock
from tests.core.backlog import load_deliveries, load_subscriptions
from tests.factories import make_desk


def subscribe(storage: Storage, clock: StoppedClock, partner: str = "P") -> Subscription:
    callback = f"https://{partner.lower()}.example/"
    order = {"partner": partner, "channel": "webhook", "callback": callback, "languages": ["en"]}
    return subscriptions.subscribe(storage, order, clock())


def claim(storage: Storage, clock: StoppedClock, owner: str = "first", limit: int = 10) -> list[Claim]:
    with storage.write() as tx:
        return claims.hold_due(tx, owner, limit=limit, now=clock(), until=clock() + CLAIM).read()


def conclude(clock: StoppedClock, held: Claim, status: int = 200) -> Outcome:
    attempt = Attempt(number=held.attempt, started_at=clock(), duration_ms=5, status=status)
    state = DeliveryState.DELIVERED if status == 200 else DeliveryState.DUE
    again = None if status == 200 else clock() + timedelta(seconds=60)
    return Outcome(claim=held, attempt=attempt, state=state, next_attempt_at=again)


def record(storage: Storage, clock: StoppedClock, held: Claim, state: DeliveryState, **values: Any) -> bool:
    attempt = Attempt(number=held.attempt, started_at=clock(), duration_ms=5, status=200)
    outcome = Outcome(claim=held, attempt=attempt, state=state, next_attempt_at=values.get("next_attempt_at"))
    with storage.write() as tx:
        return record_outcomes(tx, make_report([outcome], tx.dialect)) == []


def test_a_claimed_delivery_is_not_claimed_again(storage: Storage, clock: StoppedClock) -> None:
    plan_test(storage, subscribe(storage, clock), clock())
    assert len(claim(storage, clock)) == 1
    assert claim(storage, clock, "second") == []


def test_a_claim_runs_out_and_keeps_its_message_id(storage: Storage, clock: StoppedClock) -> None:
    """A worker that died holds nothing for longer than its claim; the partner can tell the repeat."""
    plan_test(storage, subscribe(storage, clock), clock())
    [lost] = claim(storage, clock)
    clock.now += CLAIM
    [found] = claim(storage, clock, "second")
    assert found.message_id == lost.message_id
    assert (lost.attempt, found.attempt) == (1, 2)


def test_a_late_result_of_a_lost_claim_is_refused(storage: Storage, clock: StoppedClock) -> None:
    delivery = plan_test(storage, subscribe(storage, clock), clock())
    [lost] = claim(storage, clock)
    clock.now += CLAIM
    [held] = claim(storage, clock, "second")
    assert not record(storage, clock, lost, DeliveryState.ABANDONED)
    assert record(storage, clock, held, DeliveryState.DELIVERED)
    with storage.read() as tx:
        after = deliveries.find_delivery(tx, delivery.id)
    assert after
    assert after.state is DeliveryState.DELIVERED
    assert [attempt.number for attempt in after.attempts] == [2]


def test_a_lost_claim_among_others_costs_them_nothing(storage: Storage, clock: StoppedClock) -> None:
    """Outcomes are written down together: each by its own fence, even where one owner lost and claimed again."""
    for partner in "ABC":
        plan_test(storage, subscribe(storage, clock, partner), clock())
    early = claim(storage, clock)
    ids = [held.delivery_id for held in early]
    clock.now += CLAIM
    late = {held.delivery_id: held for held in claim(storage, clock)}
    outcomes = [
        conclude(clock, late[ids[0]]), conclude(clock, early[1]), conclude(clock, late[ids[2]], status=500),
    ]
    with storage.write() as tx:
        assert record_outcomes(tx, make_report(outcomes, tx.dialect)) == [outcomes[1]]
    with storage.read() as tx:
        after = [deliveries.find_delivery(tx, delivery_id) for delivery_id in ids]
    assert [delivery and delivery.state for delivery in after] == ["delivered", "due", "due"]
    assert [delivery and [a.status for a in delivery.attempts] for delivery in after] == [[200], [], [500]]
    assert [bool(delivery and delivery.delivered_at) for delivery in after] == [True, False, False]


def test_a_subscription_is_served_one_at_a_time_oldest_first(storage: Storage, clock: StoppedClock) -> None:
    """So a partner that hangs holds one place, and the order of what it gets is kept."""
    subscription = subscribe(storage, clock)
    owed = [plan_test(storage, subscription, clock()).id for _ in range(3)]
    served = []
    while held := claim(storage, clock):
        assert len(held) == 1
        served.append(held[0].delivery_id)
        assert claim(storage, clock, "second") == []
        record(storage, clock, held[0], DeliveryState.DELIVERED)
    assert served == owed


def test_a_failed_delivery_waits_and_lets_the_next_pass(storage: Storage, clock: StoppedClock) -> None:
    subscription = subscribe(storage, clock)
    first, second = (plan_test(storage, subscription, clock()).id for _ in range(2))
    [held] = claim(storage, clock)
    record(storage, clock, held, DeliveryState.DUE, next_attempt_at=clock() + timedelta(seconds=60))
    [passing] = claim(storage, clock)
    assert (held.delivery_id, passing.delivery_id) == (first, second)
    record(storage, clock, passing, DeliveryState.DELIVERED)
    assert claim(storage, clock) == []
    clock.advance(seconds=60)
    assert [again.delivery_id for again in claim(storage, clock)] == [first]


def test_what_waits_moves_to_another_host_with_the_callback(storage: Storage, clock: StoppedClock) -> None:
    """Else it would be counted, and held, for a host that it never goes to."""
    subscription = subscribe(storage, clock)
    plan_test(storage, subscription, clock())
    subscriptions.change_subscription(
        storage, subscription.id, {"callback": "https://Other.example:8443/x"}, make_desk(storage)
    )
    [held] = claim(storage, clock)
    assert held.host == "other.example:8443"


def test_what_a_dead_worker_held_moves_to_another_host_with_the_callback(
    storage: Storage, clock: StoppedClock
) -> None:
    subscription = subscribe(storage, clock)
    plan_test(storage, subscription, clock())
    assert claim(storage, clock)
    change = {"callback": "https://new.example/"}
    subscriptions.change_subscription(storage, subscription.id, change, make_desk(storage))
    clock.now += CLAIM
    assert [(again.callback, again.host) for again in claim(storage, clock)] == [
        ("https://new.example/", "new.example:443")
    ]


def test_the_limit_is_kept(storage: Storage, clock: StoppedClock) -> None:
    for number in range(5):
        plan_test(storage, subscribe(storage, clock, f"P{number}"), clock())
    assert len(claim(storage, clock, limit=3)) == 3
    assert len(claim(storage, clock, limit=3)) == 2


def test_an_ended_subscription_is_owed_nothing(storage: Storage, clock: StoppedClock) -> None:
    subscription = subscribe(storage, clock)
    delivery = plan_test(storage, subscription, clock())
    with storage.write() as tx:
        subscriptions.end_subscription(tx, subscription.id, "gone")
    assert claim(storage, clock) == []
    with storage.read() as tx:
        after = deliveries.find_delivery(tx, delivery.id)
    assert after and after.state is DeliveryState.ABANDONED


@pytest.mark.parametrize(("status", "state"), [(200, DeliveryState.DELIVERED), (500, DeliveryState.ABANDONED)])
def test_what_is_in_flight_when_its_subscription_is_deleted_is_on_record_as_it_went(
    storage: Storage, clock: StoppedClock, status: int, state: DeliveryState
) -> None:
    """What was accepted is delivered; what failed is given up at once, and not tried again."""
    subscription = subscribe(storage, clock)
    first, second = (plan_test(storage, subscription, clock()).id for _ in range(2))
    [held] = claim(storage, clock)
    subscriptions.delete_subscription(storage, subscription.id, make_desk(storage), clock())
    with storage.write() as tx:
        assert record_outcomes(tx, make_report([conclude(clock, held, status)], tx.dialect)) == []
    with storage.read() as tx:
        after = [deliveries.find_delivery(tx, delivery_id) for delivery_id in (first, second)]
    assert [delivery and delivery.state for delivery in after] == [state, DeliveryState.ABANDONED]
    assert [delivery and delivery.next_attempt_at for delivery in after] == [None, None]
    assert after[0] and [attempt.status for attempt in after[0].attempts] == [status]
    assert after[0].delivered_at == (after[0].attempts[0].ended_at if status == 200 else None), "not when it began"
    clock.advance(days=1)
    assert claim(storage, clock) == []


@pytest.mark.parametrize("is_first", [True, False])
def test_to_count_many_failures_takes_as_many_statements_as_to_count_one(
    storage: Storage, clock: StoppedClock, is_first: bool
) -> None:
    partners = [subscribe(storage, clock, partner) for partner in "ABCDEFGH"]

    def fail() -> int:
        for partner in partners:
            plan_test(storage, partner, clock())
        held = claim(storage, clock)
        assert len(held) == len(partners)
        failed = [conclude(clock, each, 500) for each in held]
        statements: list[str] = []
        sa.event.listen(storage.engine, "before_cursor_execute", lambda *_: statements.append(_[2]))
        with storage.write() as tx:
            record_outcomes(tx, make_report(failed, tx.dialect))
        return sum("subscriptions" in statement for statement in statements)

    if not is_first:
        fail()
        clock.now += FAILURES_APART
    assert fail() == 2


def test_what_a_dead_worker_held_of_a_deleted_subscription_is_not_sent_again(
    storage: Storage, clock: StoppedClock
) -> None:
    subscription = subscribe(storage, clock)
    delivery = plan_test(storage, subscription, clock())
    assert claim(storage, clock)
    subscriptions.delete_subscription(storage, subscription.id, make_desk(storage), clock())
    clock.now += CLAIM
    assert claim(storage, clock, "second") == []
    with storage.read() as tx:
        after = deliveries.find_delivery(tx, delivery.id)
    assert after and after.state is DeliveryState.ABANDONED


@pytest.mark.parametrize("number", range(3))
def test_rival_workers_share_without_overlap(storage: Storage, clock: StoppedClock, number: int) -> None:
    """Several processes claim at once: each delivery goes to one of them."""
    import threading

    for partner in range(40):
        plan_test(storage, subscribe(storage, clock, f"P{partner}"), clock())
    claimed: list[Claim] = []
    barrier = threading.Barrier(4)

    def work(owner: str) -> None:
        barrier.wait()
        while held := claim(storage, clock, owner, limit=5):
            claimed.extend(held)

    workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(claimed) == len({held.delivery_id for held in claimed}) == 40


def test_a_host_is_judged_by_what_came_last_whatever_was_planned_first(storage: Storage, clock: StoppedClock) -> None:
    """Of what is recorded together."""
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), HOST_FAILURES + 1, lambda _: "p:443"))
    held = claim(storage, clock)
    # No more are begun to one host within a moment.
    clock.advance(seconds=1)
    held += claim(storage, clock)
    first, *others = sorted(held, key=attrgetter("delivery_id"))
    assert len(others) == HOST_FAILURES
    outcomes = [*(conclude(clock, each, 503) for each in reversed(others)), conclude(clock, first)]
    with storage.write() as tx:
        assert record_outcomes(tx, make_report(outcomes, tx.dialect)) == []
        assert not hosts.find_breakers(tx, ["p:443"])
