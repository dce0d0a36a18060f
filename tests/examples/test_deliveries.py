"""The receivers for partners, delivered to by a real courier."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from service import subscriptions
from service.clock import utc_now
from service.deliveries import plan_test
from service.model import DeliveryState, Subscription
from service.networks import AllowedNetworks
from service.storage import Storage, deliveries
from tests.conftest import VAULT
from tests.examples.conftest import LANGUAGES, running_receiver
from tests.factories import make_desk
from tests.faults.processes import free_port, wait_until
from workers.outbound import Outbound

# One kind is enough: what is asked here is what receivers do.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def deliver(workers_app: Celery, storage: Storage) -> Iterator[Callable[[Subscription], str]]:
    """Sends a test ping until it is taken; its message id."""
    from workers.courier import Courier

    own = Storage(storage.url, vault=VAULT)
    courier = Courier(own, Outbound(AllowedNetworks.parse("127.0.0.0/8")), "one")
    courier.start()

    def deliver(subscription: Subscription) -> str:
        owed = plan_test(storage, subscription, utc_now())
        courier.nudge()
        wait_until(lambda: is_taken(storage, subscription), "the ping is taken")
        return deliveries.message_id(owed.id)

    yield deliver
    courier.stop()
    own.close()


def is_taken(storage: Storage, subscription: Subscription) -> bool:
    with storage.read() as tx:
        owed = deliveries.list_for_subscription(tx, subscription.id, limit=9, before=None)
    assert all(attempt.status == 204 for delivery in owed for attempt in delivery.attempts)
    return all(delivery.state is DeliveryState.DELIVERED for delivery in owed)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receiver_takes_what_a_courier_sends_repeats_and_a_new_secrets_first_day_too(
    language: str, storage: Storage, tmp_path: Path, deliver: Callable[[Subscription], str]
) -> None:
    port, inbox = free_port(), tmp_path / "inbox"
    order = {"partner": "P", "channel": "webhook", "callback": f"http://127.0.0.1:{port}/diglot", "languages": ["en"]}
    subscription = subscriptions.subscribe(storage, order, utc_now())
    with running_receiver(language, tmp_path, inbox, port, subscription.secret.reveal()):
        sent = [deliver(subscription)]
        with storage.write() as tx:
            tx.exec_driver_sql("UPDATE deliveries SET state = 'due', next_attempt_at = created_at")
        sent.append(deliver(subscription))
        subscriptions.rotate_secret(storage, subscription.id, make_desk(storage), utc_now())
        sent.append(deliver(subscription))
    kept = [json.loads(line)["id"] for line in inbox.read_text("utf-8").splitlines()]
    assert kept == sent
    with storage.read() as tx:
        repeated = deliveries.list_for_subscription(tx, subscription.id, limit=9, before=None)[-1]
    assert [attempt.number for attempt in repeated.attempts] == [1, 2]
