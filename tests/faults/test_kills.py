"""Accepted means kept, whatever dies."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.storage import releases
from tests.faults.processes import Service, run_service, wait_until
from tests.faults.receivers import Received, run_receivers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

RECEIVERS = 200
MOST_IN_FLIGHT = 256


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        yield service


@pytest.fixture
def receivers() -> Iterator[tuple[str, Received]]:
    with run_receivers() as running:
        yield running


def subscribe_all(service: Service, base_url: str, count: int = RECEIVERS) -> None:
    for number in range(count):
        service.subscribe(f"{base_url}/{number}")


def kill_worker(service: Service) -> None:
    service.kill("worker")
    service.start("worker")


def flush_broker(service: Service) -> None:
    service.valkey.flush()


def kill_and_flush(service: Service) -> None:
    service.kill("worker")
    service.valkey.flush()
    service.run_out_claims()
    service.start("worker")


def empty_broker_restart(service: Service) -> None:
    """Celery's worker may end when its broker goes away; whoever keeps it up starts it again."""
    service.valkey.flush()
    service.valkey.kill()
    service.valkey.restart()
    wait_until(lambda: service.keep_up() or service.get("/readyz")[0] == 200, "the service is up again")


@pytest.mark.parametrize("fault", [kill_worker, flush_broker, kill_and_flush, empty_broker_restart])
def test_every_receiver_gets_every_release(
    service: Service, receivers: tuple[str, Received], release_document: dict[str, Any],
    fault: Callable[[Service], None],
) -> None:
    """In the middle of a fan-out to 200 receivers: nothing is lost, and repeats carry the same message id."""
    base_url, received = receivers
    service.start_all()
    subscribe_all(service, base_url)
    struck = threading.Event()

    def strike_in_the_middle(count: int) -> None:
        if count >= RECEIVERS // 2:
            struck.set()

    received.on_push = strike_in_the_middle
    posted = {service.call("/v1/releases", release_document)["id"] for _ in range(2)}
    assert struck.wait(60), service.read_logs()
    fault(service)
    posted.add(service.call("/v1/releases", release_document)["id"])
    wait_until(
        lambda: service.keep_up() or all(received.releases_of(number) == posted for number in range(RECEIVERS)),
        "every receiver has every release", service.read_logs,
    )
    assert received.ids_are_stable()
    assert received.repeats() <= MOST_IN_FLIGHT
    wait_until(lambda: recorded(service, posted), "every delivery is recorded", service.read_logs)


def recorded(service: Service, posted: set[str]) -> bool:
    with service.storage.read() as tx:
        rows = tx.exec_driver_sql("SELECT state, count(*) FROM deliveries GROUP BY state").all()
    return dict(map(tuple, rows)) == {"delivered": RECEIVERS * len(posted)}


def test_a_release_survives_an_api_killed_right_after_its_commit(
    service: Service, receivers: tuple[str, Received], release_document: dict[str, Any]
) -> None:
    """The broker is frozen, so the API hangs between its commit and its nudge, and there it dies.

    The client, who was told nothing, repeats itself under the same Idempotency-Key, and it is one release.
    """
    base_url, received = receivers
    service.start_all()
    subscribe_all(service, base_url, 3)
    service.valkey.freeze()
    post = functools.partial(service.try_call, "/v1/releases", release_document, headers={"Idempotency-Key": "k"})
    posting = threading.Thread(target=post)
    posting.start()
    [release_id] = wait_until(lambda: accepted(service), "the release is committed", service.read_logs)
    service.kill("web")
    service.valkey.thaw()
    posting.join()
    wait_until(
        lambda: all(received.releases_of(number) == {release_id} for number in range(3)),
        "the sweep finds the release", service.read_logs,
    )
    service.start("web")
    status, body = wait_until(lambda: (answer := post())[0] and answer, "the API answers again", service.read_logs)
    assert (status, json.loads(body)["id"]) == (201, release_id)
    assert accepted(service) == [release_id]
    assert received.repeats() == 0


def accepted(service: Service) -> list[str]:
    with service.storage.read() as tx:
        return [str(release.id) for release in releases.list_releases(tx, limit=9)]


def test_a_restart_finds_and_finishes_the_work(
    service: Service, receivers: tuple[str, Received], release_document: dict[str, Any]
) -> None:
    """Everything dies with work undone, the broker with all that it held; then everything starts again."""
    base_url, received = receivers
    service.start("web")
    wait_until(lambda: service.get("/healthz")[0] == 200, "the API answers", service.read_logs)
    subscribe_all(service, base_url, 5)
    posted = {service.call("/v1/releases", release_document)["id"] for _ in range(3)}
    service.kill("web")
    service.valkey.kill()
    service.valkey.restart()
    service.valkey.flush()
    service.start_all()
    wait_until(
        lambda: all(received.releases_of(number) == posted for number in range(5)),
        "the work is finished", service.read_logs,
    )


def test_a_warm_stop_loses_and_repeats_nothing(
    service: Service, receivers: tuple[str, Received], release_document: dict[str, Any]
) -> None:
    base_url, received = receivers
    service.start_all()
    subscribe_all(service, base_url, 50)
    middle = threading.Event()
    received.on_push = lambda count: middle.set() if count >= 10 else None
    posted = {service.call("/v1/releases", release_document)["id"]}
    assert middle.wait(60), service.read_logs()
    assert service.stop("worker") == 0
    service.start("worker")
    wait_until(
        lambda: all(received.releases_of(number) == posted for number in range(50)),
        "everything is delivered", service.read_logs,
    )
    assert received.repeats() == 0


def test_hanging_receivers_delay_no_other(
    service: Service, receivers: tuple[str, Received], release_document: dict[str, Any]
) -> None:
    """One in five takes the push and says nothing; the others have it long before those run out of time."""
    base_url, received = receivers
    received.hanging = set(range(0, 100, 5))
    healthy = set(range(100)) - received.hanging
    service.start_all()
    subscribe_all(service, base_url, 100)
    posted = {service.call("/v1/releases", release_document)["id"] for _ in range(3)}
    wait_until(
        lambda: all(received.releases_of(number) == posted for number in healthy),
        "every healthy receiver has every release", service.read_logs,
    )
    with service.storage.read() as tx:
        failed = tx.exec_driver_sql("SELECT count(*) FROM attempts WHERE error IS NOT NULL").scalar_one()
    assert failed == 0, "the healthy ones waited for a hanging one to run out of time"
    assert not any(received.pushes[number] for number in received.hanging)
