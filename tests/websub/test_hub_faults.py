"""What the hub has accepted it asks about, and what it owes it sends, whatever dies meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Service, run_service, wait_until
from tests.websub.asking import ask, count_active, fetch, publish, require_distribution
from tests.websub.subscriber import Callback, Subscribers, run_subscribers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

SUBSCRIBERS = 40
TOPIC = "/feeds/en.atom"


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url, web_processes=1) as service:
        service.start_all()
        yield service


@pytest.fixture
def subscribers() -> Iterator[Subscribers]:
    with run_subscribers() as server:
        yield server


def kill_and_flush(service: Service) -> None:
    """The worker with all that it held, and the broker's whole memory."""
    service.kill("worker")
    service.valkey.flush()
    service.run_out_claims()
    with service.storage.write() as tx:
        tx.exec_driver_sql("UPDATE intents SET claim_until = next_attempt_at WHERE claim_until IS NOT NULL")
    service.start("worker")


def await_count(subscribers: Subscribers, count: int) -> threading.Event:
    reached = threading.Event()
    subscribers.on_request = lambda so_far: reached.set() if so_far >= count else None
    return reached


def test_a_worker_and_a_broker_that_die_cost_no_subscriber_anything(
    service: Service, subscribers: Subscribers
) -> None:
    """Struck among the questions, and again among the distributions, at points that chance names."""
    chance = random.Random(service.port)
    strike_at = [chance.randrange(1, SUBSCRIBERS), SUBSCRIBERS + chance.randrange(1, SUBSCRIBERS)]
    callbacks = [subscribers.add(str(number)) for number in range(SUBSCRIBERS)]
    reached = await_count(subscribers, strike_at[0])
    for callback in callbacks:
        assert ask(service, "subscribe", TOPIC, callback, secret=callback.url) == 202
    assert reached.wait(60), service.read_logs()
    kill_and_flush(service)
    wait_until(lambda: count_active(service.storage) == SUBSCRIBERS, "all are subscribed, once", service.read_logs)

    reached = await_count(subscribers, strike_at[1])
    publish(service)
    assert reached.wait(60), service.read_logs()
    kill_and_flush(service)
    wait_until(lambda: all(has_newest(service, each) for each in callbacks), "all have the newest", service.read_logs)
    for callback in callbacks:
        require_distribution(service, TOPIC, callback.received[-1], callback.url)
    assert count_active(service.storage) == SUBSCRIBERS


def has_newest(service: Service, callback: Callback) -> bool:
    return bool(callback.received) and callback.received[-1].body == fetch(service, TOPIC)[0]
