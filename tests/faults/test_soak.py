"""Whatever dies, whenever: drawn by lot, and the same again for the same number. `make soak` draws two hundred."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.faults.processes import Service, run_service, wait_until
from tests.faults.receivers import Received, run_receivers
from tests.faults.test_deaths import kill_child
from tests.faults.test_steps import full

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

RUNS = int(os.environ.get("SOAK_RUNS", "2"))
RECEIVERS = 40
RELEASES = 3
FAULTS = 3

Fault = Callable[[Service], None]


def kill_worker(service: Service) -> None:
    service.kill("worker")
    service.run_out_claims()
    service.start("worker")


def kill_beat(service: Service) -> None:
    service.kill("beat")
    service.start("beat")


def kill_web(service: Service) -> None:
    service.kill("web")
    service.start("web")


def stop_worker(service: Service) -> None:
    service.stop("worker")
    service.start("worker")


def flush_broker(service: Service) -> None:
    service.valkey.flush()


def lose_broker(service: Service) -> None:
    service.valkey.flush()
    service.valkey.kill()
    service.valkey.restart()


def freeze_broker(service: Service) -> None:
    service.valkey.freeze()
    threading.Event().wait(1.5)
    service.valkey.thaw()


def fill_broker(service: Service) -> None:
    with full(service):
        threading.Event().wait(1.5)


def kill_child_of_web(service: Service) -> None:
    kill_child(service, "web")


def lock_database(service: Service) -> None:
    with service.storage.write() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(sa.text("LOCK TABLE deliveries, events IN EXCLUSIVE MODE"))
        threading.Event().wait(1.5)


ALL_FAULTS: tuple[Fault, ...] = (
    kill_worker, kill_worker, kill_beat, kill_web, kill_child_of_web, stop_worker, flush_broker, lose_broker,
    freeze_broker, fill_broker, lock_database,
)


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        service.start_all()
        yield service


@pytest.fixture
def received(service: Service) -> Iterator[Received]:
    with run_receivers() as (base_url, received):
        port = base_url.rpartition(":")[2]
        for number in range(RECEIVERS):
            service.subscribe(f"http://p{number}.localhost:{port}/{number}")
        yield received


@pytest.mark.parametrize("seed", range(RUNS))
def test_whatever_dies_all_that_was_accepted_arrives(
    service: Service, received: Received, release_document: dict[str, Any], seed: int
) -> None:
    """Each accepted release at each receiver; repeats are at most what was in flight, under the same message id."""
    chance = random.Random(seed)
    strikes = sorted(chance.randrange(1, RECEIVERS * RELEASES) for _ in range(FAULTS))
    faults = [chance.choice(ALL_FAULTS) for _ in strikes]
    accepted: set[str] = set()
    for _ in range(RELEASES):
        accepted |= post(service, release_document)
    for pushes, fault in zip(strikes, faults, strict=True):
        wait_until(lambda pushes=pushes: service.keep_up() or count(received) >= pushes, "so many pushes came",
                   service.read_logs)
        # Its nudge is what the fault may take away.
        accepted |= post(service, release_document)
        fault(service)
    wait_until(
        lambda: service.keep_up() or all(received.releases_of(number) >= accepted for number in range(RECEIVERS)),
        f"all have all after {[fault.__name__ for fault in faults]} at {strikes}", service.read_logs,
    )
    wait_until(lambda: service.keep_up() or not undone(service), "all is on record", service.read_logs)
    assert received.ids_are_stable()
    assert received.repeats() <= RECEIVERS * faults.count(kill_worker)


def post(service: Service, document: dict[str, Any]) -> set[str]:
    """The id, if it was accepted: while the web is down or the database locked, nothing is."""
    status, body = service.try_call("/v1/releases", document)
    return {str(json.loads(body)["id"])} if status == 201 else set()


def count(received: Received) -> int:
    return sum(map(len, received.pushes.values()))


def undone(service: Service) -> int:
    with service.storage.read() as tx:
        return int(tx.execute(sa.text("SELECT count(*) FROM deliveries WHERE state <> 'delivered'")).scalar_one())
