"""A worker that dies at one exact step, and what disturbs its broker: all that is owed arrives, hardly any twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bench import samples
from service.clock import utc_now
from service.config import load_profile
from service.deliveries import SUBSCRIPTION_BATCH
from service.publishing import publish_due
from service.queue import DELIVER, PUBLISH, SWEEP, make_celery
from service.storage import releases
from service.storage.tables import subscriptions
from tests.core.backlog import load_subscriptions
from tests.faults.processes import Service, run_service, wait_until
from tests.faults.receivers import Received, run_receivers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

RECEIVERS = 20
# Who subscribed after many others.
LATE = 5
Receivers = tuple[str, Received]


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url, workers=2) as service:
        yield service


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with run_receivers() as running:
        yield running


def subscribe_all(service: Service, base_url: str, first: int = 0, end: int = RECEIVERS) -> None:
    """Each on a host of its own."""
    port = base_url.rpartition(":")[2]
    for number in range(first, end):
        service.subscribe(f"http://p{number}.localhost:{port}/{number}")


def publish_one(service: Service) -> str:
    """A release that readers see and of which nothing is planned; its id."""
    profile = load_profile(service.settings.profile_path)
    release = samples.accept(service.storage, profile, 1)
    wait_until(
        lambda: publish_due(service.storage, profile, utc_now).count or is_public(service, release.id),
        "the release is public",
    )
    return str(release.id)


def is_public(service: Service, release_id: UUID) -> bool:
    """A worker that runs may be the first to publish it."""
    with service.storage.read() as tx:
        found = releases.find_release(tx, release_id)
    return found is not None and found.published_at is not None


@contextmanager
def locked(service: Service, table: str) -> Iterator[None]:
    """Nobody else writes to the table; on SQLite, to any."""
    with service.storage.write() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(sa.text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
        yield


def count(service: Service, query: str) -> int:
    with service.storage.read() as tx:
        return int(tx.execute(sa.text(query)).scalar_one())


def delivered(service: Service) -> int:
    return count(service, "SELECT count(*) FROM deliveries WHERE state = 'delivered'")


def await_delivered(service: Service, owed: int) -> None:
    wait_until(lambda: service.keep_up() or delivered(service) == owed, "all is delivered", service.read_logs)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_plan_that_dies_half_written_is_written_whole(service: Service, receivers: Receivers) -> None:
    """On PostgreSQL, where a lock can stop the worker in the midst of its transaction."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    release_id = publish_one(service)
    with locked(service, "deliveries"):
        service.start("worker", "beat")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%deliveries%'"
        wait_until(lambda: count(service, waiting), "the worker is about to write", service.read_logs)
        service.kill("worker")
    assert count(service, "SELECT count(*) FROM deliveries") == 0
    service.start("worker")
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.repeats() == 0


def test_a_plan_goes_on_where_it_was_killed_between_two_parts(service: Service, receivers: Receivers) -> None:
    """Of a newsroom with more subscriptions than one part plans: some want the release, here and there among them."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    others = load_subscriptions(service.storage, utc_now(), SUBSCRIPTION_BATCH * 4)
    subscribe_all(service, base_url, RECEIVERS, RECEIVERS + LATE)
    want_nothing_of(service, others)
    release_id = publish_one(service)
    service.start("worker", "beat")
    begun = "SELECT count(*) FROM events WHERE planned_to IS NOT NULL AND planned_at IS NULL"
    wait_until(lambda: count(service, begun), "a part is planned", service.read_logs)
    with locked(service, "events"):
        service.kill("worker")
    assert count(service, begun), "it was planned to the end"
    assert count(service, "SELECT count(*) FROM deliveries") == RECEIVERS
    service.run_out_claims()
    service.start("worker")
    await_delivered(service, RECEIVERS + LATE)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS + LATE))
    assert received.repeats() <= RECEIVERS and received.ids_are_stable()
    assert count(service, "SELECT count(*) FROM deliveries") == RECEIVERS + LATE


def want_nothing_of(service: Service, subscription_ids: Sequence[UUID]) -> None:
    """They order what the releases of these tests are not about."""
    with service.storage.write() as tx:
        change = subscriptions.update().where(subscriptions.c.id.between(subscription_ids[0], subscription_ids[-1]))
        tx.execute(change.values(categories=["events"]))


def test_what_was_sent_and_not_yet_recorded_comes_again_under_its_message_id(
    service: Service, receivers: Receivers
) -> None:
    base_url, received = receivers
    subscribe_all(service, base_url)
    publish_one(service)
    with ExitStack() as stack:
        lock_once(received, lambda: stack.enter_context(locked(service, "attempts")))
        service.start("worker", "beat")
        wait_until(lambda: sum(map(len, received.pushes.values())), "a push has come", service.read_logs)
        service.kill("worker")
    assert delivered(service) == 0
    service.run_out_claims()
    service.start("worker")
    await_delivered(service, RECEIVERS)
    # All that were in flight, and at least the one that had come.
    assert 1 <= received.repeats() <= RECEIVERS
    assert received.ids_are_stable()


def lock_once(received: Received, lock: Callable[[], object]) -> None:
    """Before the first push is answered, so that no answer can be recorded."""
    turn, done = threading.Lock(), []

    def answer(_number: int) -> int:
        with turn:
            if not done:
                done.append(lock())
        return 204

    received.answer = answer


def test_repeated_messages_and_rival_sweepers_repeat_no_push(service: Service, receivers: Receivers) -> None:
    """Two workers, two beats, and each message a hundred times."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    service.start("worker", "worker2", "beat")
    service.start_twin("beat")
    sender = make_celery(service.valkey.url)
    release_ids = set()
    for _ in range(3):
        release_ids.add(publish_one(service))
        for _ in range(100):
            for name in (PUBLISH, DELIVER, SWEEP):
                sender.send_task(name)
    await_delivered(service, RECEIVERS * len(release_ids))
    assert all(received.releases_of(number) == release_ids for number in range(RECEIVERS))
    assert received.repeats() == 0


@contextmanager
def frozen(service: Service) -> Iterator[None]:
    service.valkey.freeze()
    yield
    service.valkey.thaw()


@contextmanager
def full(service: Service) -> Iterator[None]:
    with service.valkey.connect() as client:
        client.config_set("maxmemory", "1")
        yield
        client.config_set("maxmemory", "0")


@pytest.mark.parametrize("fault", [frozen, full])
def test_a_release_is_taken_while_the_broker_takes_nothing_and_sent_when_it_does(
    service: Service, receivers: Receivers, release_document: dict[str, Any],
    fault: Callable[[Service], AbstractContextManager[None]],
) -> None:
    base_url, received = receivers
    subscribe_all(service, base_url)
    service.start("web", "worker", "beat")
    wait_until(lambda: service.get("/readyz")[0] == 200, "the service is ready", service.read_logs)
    with fault(service):
        release_id = service.call("/v1/releases", release_document)["id"]
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.repeats() == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_restarts_in_the_midst_costs_nothing(
    request: pytest.FixtureRequest, service: Service, receivers: Receivers
) -> None:
    """Every connection is broken off while pushes are under way."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    release_id = publish_one(service)
    begun = threading.Event()
    received.on_push = lambda count: begun.set() if count >= RECEIVERS // 2 else None
    service.start("worker", "beat")
    assert begun.wait(60), service.read_logs()
    with request.getfixturevalue("postgres").closed(service.storage.url):
        pass
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.ids_are_stable()
    assert received.repeats() <= RECEIVERS
