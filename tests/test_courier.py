"""The courier by itself: what it claims it sends in order, records once, and nothing stops it for good."""

from __future__ import annotations

import dataclasses
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from celery import Celery

from service import subscriptions
from service.deliveries import plan_test
from service.model import Channel, Claim, Delivery, DeliveryState, Secret, Subscription, SubscriptionState
from service.networks import AllowedNetworks
from service.retries import CLAIM, WAITS
from service.storage import Storage, claims, deliveries
from service.storage import subscriptions as stored
from service.storage.deliveries import message_id
from service.storage.tables import attempts
from service.storage.tables import subscriptions as subscriptions_table
from tests.conftest import VAULT, StoppedClock
from tests.factories import make_desk
from tests.faults.processes import wait_until
from tests.faults.receivers import Received, run_receivers
from tests.services.postgres import Postgres
from workers.channels import CHANNELS, Conversation
from workers.channels.webhook import push
from workers.outbound import Outbound

if TYPE_CHECKING:
    from workers.courier import Courier


Receivers = tuple[str, Received]
Hire = Callable[..., "Courier"]


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with run_receivers() as running:
        yield running


@pytest.fixture
def hire(workers_app: Celery, database_url: str, storage: Storage, clock: StoppedClock) -> Iterator[Hire]:
    """Starts couriers of any name, each on connections of its own."""
    from workers.courier import Courier

    hired: list[tuple[Courier, Storage]] = []

    def hire(owner: str = "first") -> Courier:
        own = Storage(database_url, busy_seconds=0.1, vault=VAULT)
        courier = Courier(own, Outbound(AllowedNetworks.parse("127.0.0.0/8")), owner, clock)
        courier.start()
        hired.append((courier, own))
        return courier

    yield hire
    for courier, own in hired:
        courier.stop()
        own.close()


@pytest.fixture
def away(request: pytest.FixtureRequest, storage: Storage) -> Callable[[], AbstractContextManager[None]]:
    """Takes the database away from everybody: SQLite locked by another, PostgreSQL refusing connections."""

    @contextmanager
    def lock() -> Iterator[None]:
        with storage.write():
            yield

    @contextmanager
    def refuse() -> Iterator[None]:
        server: Postgres = request.getfixturevalue("postgres")
        with server.closed(storage.url):
            yield

    return lock if storage.engine.dialect.name == "sqlite" else refuse


def subscribe(storage: Storage, clock: StoppedClock, callback: str) -> Subscription:
    order = {"partner": "P", "channel": "webhook", "callback": callback, "languages": ["en"]}
    return subscriptions.subscribe(storage, order, clock())


def owe(storage: Storage, clock: StoppedClock, subscription: Subscription, count: int = 1) -> list[uuid.UUID]:
    owed = []
    for _ in range(count):
        clock.advance(milliseconds=1)
        owed.append(plan_test(storage, subscription, clock()).id)
    return owed


def find(storage: Storage, delivery_id: uuid.UUID) -> Delivery:
    with storage.read() as tx:
        delivery = deliveries.find_delivery(tx, delivery_id)
    assert delivery
    return delivery


def await_state(storage: Storage, state: DeliveryState, *owed: uuid.UUID) -> None:
    wait_until(lambda: all(find(storage, each).state is state for each in owed), f"all are {state}", seconds=30)


def spoil(storage: Storage, subscription: Subscription, **values: Any) -> None:
    """As a careless hand in the database would, past every check."""
    with storage.write() as tx:
        tx.execute(subscriptions_table.update().where(subscriptions_table.c.id == subscription.id).values(**values))


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
    assert after and after.state is subscription_state


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
    for courier in couriers:
        courier.nudge()
        assert asked.acquire(timeout=10)
        clock.now += CLAIM
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
    asked, gate = threading.Event(), threading.Event()

    def answer(_number: int) -> int:
        asked.set()
        gate.wait(10)
        return 204

    received.answer = answer
    flying, waiting = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"), 2)
    courier = hire()
    courier.nudge()
    assert asked.wait(10)
    stopping = threading.Thread(target=courier.stop)
    stopping.start()
    assert courier._stopping.wait(10)
    gate.set()
    stopping.join()
    assert find(storage, flying).state is DeliveryState.DELIVERED
    assert find(storage, waiting).state is DeliveryState.DUE
    assert len(received.pushes[0]) == 1


def test_a_result_outlives_a_database_that_is_away_for_a_moment(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    base_url, received = receivers
    asked, gate = threading.Event(), threading.Event()

    def answer(_number: int) -> int:
        asked.set()
        gate.wait(10)
        return 204

    received.answer = answer
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    hire().nudge()
    assert asked.wait(10)
    with caplog.at_level(logging.WARNING), away():
        gate.set()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)
    assert len(received.pushes[0]) == 1, "the partner got a repeat"


def test_what_was_nudged_while_the_database_was_away_is_sent_when_it_is_back(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    base_url, _ = receivers
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    courier = hire()
    with caplog.at_level(logging.WARNING), away():
        courier.nudge()
        wait_until(lambda: "the courier waits" in caplog.text, "the claim fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)


def hold_answers(received: Received) -> tuple[threading.Semaphore, list[threading.Event]]:
    """Tells of each push that came; the first two partners answer once their gate is open."""
    asked, gates = threading.Semaphore(0), [threading.Event(), threading.Event()]

    def answer(number: int) -> int:
        asked.release()
        gates[number].wait(10)
        return 204

    received.answer = answer
    return asked, gates


def test_what_flies_while_the_database_is_away_is_recorded_when_it_is_back(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    """One result waits already when the other comes; each is recorded once."""
    base_url, received = receivers
    asked, gates = hold_answers(received)
    owed = [owe(storage, clock, subscribe(storage, clock, f"{base_url}/{number}"))[0] for number in range(2)]
    hire().nudge()
    assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
    with caplog.at_level(logging.WARNING), away():
        for number, gate in enumerate(gates):
            caplog.clear()
            gate.set()
            wait_until(lambda: received.pushes[number], "it has answered", seconds=10)  # noqa: B023
            wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)
    assert [len(find(storage, each).attempts) for each in owed] == [1, 1]
    assert received.repeats() == 0


def test_stop_waits_until_the_database_has_all_that_was_in_flight(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    """It is away while one result is being recorded; the other delivery is still in flight when the stop comes."""
    base_url, received = receivers
    asked, gates = hold_answers(received)
    owed = [owe(storage, clock, subscribe(storage, clock, f"{base_url}/{number}"))[0] for number in range(2)]
    courier = hire()
    courier.nudge()
    assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
    stopping = threading.Thread(target=courier.stop)
    with caplog.at_level(logging.WARNING), away():
        gates[0].set()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
        stopping.start()
        gates[1].set()
        wait_until(lambda: received.pushes[1], "the other has answered", seconds=10)
        caplog.clear()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails again", seconds=30)
        assert stopping.is_alive()
    stopping.join(30)
    assert [find(storage, each).state for each in owed] == [DeliveryState.DELIVERED] * 2


def test_a_nudge_that_comes_during_a_claim_is_not_lost(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it tells of was written too late for that claim to see it."""
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("while anybody claims there, nobody writes what a nudge could tell of")
    base_url, _ = receivers
    claimed, gate = threading.Event(), threading.Event()

    def claim_due(*args: Any, **named: Any) -> list[Claim]:
        due = real(*args, **named)
        claimed.set()
        gate.wait(10)
        return due

    real = claims.claim_due
    monkeypatch.setattr(claims, "claim_due", claim_due)
    courier = hire()
    courier.nudge()
    assert claimed.wait(10)
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    courier.nudge()
    gate.set()
    await_state(storage, DeliveryState.DELIVERED, *owed)


@pytest.mark.parametrize(("spoilt", "error"), [
    ({"secret": Secret("whsec_no base64")}, "unsendable"),
    ({"callback": "gopher://127.0.0.1/"}, "bad_url"),
    ({"callback": "http://[::"}, "bad_url"),
    ({"callback": "http://10.0.0.1/"}, "address_refused"),
])
def test_a_delivery_that_can_not_be_sent_keeps_no_other_and_ends_some_day(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, spoilt: dict[str, Any], error: str
) -> None:
    base_url, received = receivers
    partners = [subscribe(storage, clock, f"{base_url}/{number}") for number in range(4)]
    poisonous, *healthy = (owe(storage, clock, partner)[0] for partner in partners)
    spoil(storage, partners[0], **spoilt)
    courier = hire()
    courier.nudge()
    await_state(storage, DeliveryState.DELIVERED, *healthy)
    for number in range(1, len(WAITS) + 2):
        wait_until(lambda: len(find(storage, poisonous).attempts) == number, "it is tried", seconds=30)  # noqa: B023
        after = find(storage, poisonous)
        if after.next_attempt_at:
            clock.now = after.next_attempt_at
            courier.nudge()
    assert after.state is DeliveryState.ABANDONED
    assert {attempt.error for attempt in after.attempts} == {error}
    assert received.pushes[0] == []


def test_a_result_that_breaks_the_record_keeps_no_other(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    """Two results come in one batch, and the row of one is there already; then a third comes."""
    base_url, _ = receivers
    partners = [subscribe(storage, clock, f"{base_url}/{number}") for number in range(3)]
    for partner in partners[:2]:
        spoil(storage, partner, secret=Secret("whsec_no base64"))
    [broken], [together] = (owe(storage, clock, partner) for partner in partners[:2])
    with storage.write() as tx:
        row = sa.insert(attempts).values(delivery_id=broken, number=1, started_at=clock(), duration_ms=0)
        tx.execute(row)
    courier = hire()
    courier.nudge()
    wait_until(lambda: find(storage, together).attempts, "the other of the batch is recorded", seconds=30)
    later = owe(storage, clock, partners[2])
    courier.nudge()
    await_state(storage, DeliveryState.DELIVERED, *later)
    assert find(storage, broken).state is DeliveryState.DUE


def test_a_channel_that_asks_several_times_is_judged_by_its_last_answer(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, received = receivers
    received.answer = lambda number: 503 if number == 0 else 204

    def converse(claim: Claim, now: datetime) -> Conversation:
        first = yield from push(dataclasses.replace(claim, callback=f"{base_url}/0"), now)
        assert first.status == 503
        return (yield from push(claim, now))

    monkeypatch.setitem(CHANNELS, Channel.WEBHOOK, converse)
    subscription = subscribe(storage, clock, f"{base_url}/1")
    owed = owe(storage, clock, subscription)
    hire().nudge()
    await_state(storage, DeliveryState.DELIVERED, *owed)
    [attempt] = find(storage, owed[0]).attempts
    assert attempt.status == 204


def test_the_deadline_spans_all_that_a_channel_asks(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, received = receivers
    received.hanging = {1}
    asked = []

    def converse(claim: Claim, now: datetime) -> Conversation:
        yield from push(dataclasses.replace(claim, callback=f"{base_url}/0"), now)
        asked.append(1)
        return (yield from push(claim, now))

    monkeypatch.setitem(CHANNELS, Channel.WEBHOOK, converse)
    monkeypatch.setattr("workers.flight.ATTEMPT_SECONDS", 1.0)
    subscription = subscribe(storage, clock, f"{base_url}/1")
    owed = owe(storage, clock, subscription)
    hire().nudge()
    wait_until(lambda: find(storage, owed[0]).attempts, "the attempt is on record", seconds=10)
    [attempt] = find(storage, owed[0]).attempts
    assert asked and (attempt.status, attempt.error) == (None, "deadline_exceeded")
    received.release_all.set()
