"""Couriers, their receivers, and a database that goes away."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from service import subscriptions
from service.deliveries import plan_test
from service.model import Delivery, DeliveryState, Subscription
from service.networks import AllowedNetworks
from service.storage import Storage, deliveries
from service.storage.tables import subscriptions as subscriptions_table
from tests.conftest import VAULT, StoppedClock
from tests.faults.processes import wait_until
from tests.faults.receivers import Received, run_receivers
from tests.services.postgres import Postgres
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


def hold_answers(received: Received) -> tuple[threading.Semaphore, list[threading.Event]]:
    """Tells of each push that came; the first two partners answer once their gate is open."""
    asked, gates = threading.Semaphore(0), [threading.Event(), threading.Event()]

    def answer(number: int) -> int:
        asked.release()
        gates[number].wait(10)
        return 204

    received.answer = answer
    return asked, gates
