"""The courier by itself: what it claims it sends in order and records once."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from celery import Celery

from service import subscriptions
from service.deliveries import plan_test
from service.model import DeliveryState, NoticeType, SubscriptionState
from service.networks import AllowedNetworks
from service.retries import CLAIM
from service.storage import Storage, notices
from service.storage import subscriptions as stored
from service.storage.deliveries import message_id
from service.storage.tables import deliveries as delivery_rows
from tests.conftest import StoppedClock
from tests.courier.conftest import Hire, Receivers, await_state, find, hold_answers, owe, subscribe
from tests.factories import make_desk
from tests.faults.processes import wait_until
from workers.outbound import Outbound


def test_a_subscription_is_served_in_order_and_waits_for_no_other(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    base_url, received = receivers
    slow, quick = (subscribe(storage, clock, f"{base_url}/{number}") for number in range(2))
    owed = [owe(storage, clock, slow, 4), owe(storage, clock, quick, 4)]
    gate, waiting, most_waiting = threading.Event(), [0], [0]

    def answer(number: int) -> int:
        if number == 0:
            waiting[0] += 1
            most_waiting[0] = max(waiting)
            gate.wait(10)
            waiting[0] -= 1
        return 204

    received.answer = answer
    hire().nudge()
    await_state(storage, DeliveryState.DELIVERED, *owed[1])
    assert received.pushes[0] == []
    gate.set()
    await_state(storage, DeliveryState.DELIVERED, *owed[0])
    for number in range(2):
        assert [message for message, _ in received.pushes[number]] == [message_id(each) for each in owed[number]]
    assert most_waiting == [1], "a partner got the next before it had answered for the last"


@pytest.mark.parametrize(("status", "state", "subscription_state"), [
    (204, DeliveryState.DELIVERED, SubscriptionState.ACTIVE),
    (404, DeliveryState.DUE, SubscriptionState.ACTIVE),
    (410, DeliveryState.ABANDONED, SubscriptionState.ENDED),
])
def test_an_answer_is_recorded_with_what_follows_from_it(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    status: int, state: DeliveryState, subscription_state: SubscriptionState,
) -> None:
    base_url, received = receivers
    received.answer = lambda _number: status
    subscription = subscribe(storage, clock, f"{base_url}/0")
    [owed] = owe(storage, clock, subscription)
    hire().nudge()
    wait_until(lambda: find(storage, owed).attempts, "it is tried", seconds=30)
    assert find(storage, owed).state is state
    assert [(a.number, a.status, a.error) for a in find(storage, owed).attempts] == [(1, status, None)]
    with storage.read() as tx:
        after = stored.find_subscription(tx, subscription.id)
        told = [(notice.type, notice.status) for notice in notices.list_notices(tx, limit=9)]
    assert after and after.state is subscription_state
    assert told == ([(NoticeType.ENDED, 410)] if status == 410 else [])


@pytest.mark.parametrize("late_first", [True, False])
def test_a_late_result_of_a_lost_claim_is_refused(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, late_first: bool
) -> None:
    """Whether it comes before the result of the claim that holds or after it: its 410 ends nothing."""
    base_url, received = receivers
    asked, gates = threading.Semaphore(0), [threading.Event(), threading.Event()]
    answers = iter([(gates[0], 410), (gates[1], 204)])

    def answer(_number: int) -> int:
        gate, status = next(answers)
        asked.release()
        gate.wait(10)
        return status

    received.answer = answer
    subscription = subscribe(storage, clock, f"{base_url}/0")
    [owed] = owe(storage, clock, subscription)
    couriers = [hire("late"), hire("second")]
    couriers[0].nudge()
    assert asked.acquire(timeout=10)
    # The second's claim doesn't run out, or somebody would make a third.
    clock.now += CLAIM
    couriers[1].nudge()
    assert asked.acquire(timeout=10)
    for number in (0, 1) if late_first else (1, 0):
        gates[number].set()
        couriers[number].stop()
    after = find(storage, owed)
    assert after.state is DeliveryState.DELIVERED
    assert [(attempt.number, attempt.status) for attempt in after.attempts] == [(2, 204)]
    with storage.read() as tx:
        still = stored.find_subscription(tx, subscription.id)
    assert still and still.state is SubscriptionState.ACTIVE


@pytest.mark.parametrize("late_first", [True, False])
def test_a_courier_that_claims_the_same_delivery_twice_records_it_once(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, late_first: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As after a clock that was put forward: its claim has run out while it waits for the answer."""
    base_url, received = receivers
    asked, gates = threading.Semaphore(0), [threading.Event(), threading.Event()]
    waiting = iter(gates)

    def answer(_number: int) -> int:
        gate = next(waiting)
        asked.release()
        gate.wait(10)
        return 204

    received.answer = answer
    [owed] = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    courier = hire()
    for wait in (CLAIM * 0, CLAIM):
        clock.now += wait
        courier.nudge()
        assert asked.acquire(timeout=10)
    for number, gate in enumerate(gates if late_first else reversed(gates)):
        gate.set()
        wait_until(lambda: len(received.pushes[0]) > number, "it has answered", seconds=10)  # noqa: B023
    courier.stop()
    assert [(attempt.number, attempt.status) for attempt in find(storage, owed).attempts] == [(2, 204)]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_what_the_old_callback_says_after_a_change_ends_nothing(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    """It is gone, and so the partner named another; what it was sent goes there."""
    base_url, received = receivers
    asked, gate = threading.Event(), threading.Event()

    def answer(number: int) -> int:
        if number == 0:
            asked.set()
            gate.wait(10)
        return 410 if number == 0 else 204

    received.answer = answer
    subscription = subscribe(storage, clock, f"{base_url}/0")
    [owed] = owe(storage, clock, subscription)
    hire().nudge()
    assert asked.wait(10)
    change = {"callback": f"{base_url}/1"}
    subscriptions.change_subscription(storage, subscription.id, change, make_desk(storage))
    gate.set()
    await_state(storage, DeliveryState.DELIVERED, owed)
    assert [message for message, _ in received.pushes[1]] == [message_id(owed)]
    with storage.read() as tx:
        still = stored.find_subscription(tx, subscription.id)
    assert still and still.state is SubscriptionState.ACTIVE


def test_stop_finishes_what_is_in_flight_and_begins_nothing(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    base_url, received = receivers
    asked, [gate, _] = hold_answers(received)
    flying, waiting = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"), 2)
    courier = hire()
    courier.nudge()
    assert asked.acquire(timeout=10)
    stopping = threading.Thread(target=courier.stop)
    stopping.start()
    assert courier._stopping.wait(10)
    gate.set()
    stopping.join()
    assert find(storage, flying).state is DeliveryState.DELIVERED
    assert find(storage, waiting).state is DeliveryState.DUE
    assert len(received.pushes[0]) == 1


def test_a_courier_whose_claims_were_over_before_they_began_still_stops(
    workers_app: Celery, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    """As after a commit that took longer than the claim: they are somebody else's, and nobody waits for them."""
    from workers.courier import Courier

    def late_in_flight() -> datetime:
        return clock() + (CLAIM if threading.current_thread().name == "flight" else timedelta())

    base_url, received = receivers
    order = {"partner": "P", "channel": "webhook", "callback": f"{base_url}/0", "languages": ["en"]}
    plan_test(storage, subscriptions.subscribe(storage, order, clock()), clock())
    courier = Courier(storage, Outbound(AllowedNetworks.parse("127.0.0.0/8")), "me", late_in_flight)
    courier.start()
    courier.nudge()
    wait_until(lambda: is_claimed(storage), "it is claimed", seconds=10)
    stopping = threading.Thread(target=courier.stop, daemon=True)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive() and not received.pushes[0]


def is_claimed(storage: Storage) -> bool:
    with storage.read() as tx:
        return tx.execute(sa.select(delivery_rows.c.claim_owner)).scalar_one() is not None
