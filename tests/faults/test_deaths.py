"""A child of the web, beat and its memory, a worker in the midst of a plan, a database that is locked for long."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.retries import CLAIM
from tests.faults.processes import Service, run_service, wait_until
from tests.faults.receivers import Received, run_receivers
from tests.faults.test_steps import await_delivered, count, locked, publish_one, subscribe_all

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

RECEIVERS = 20
Receivers = tuple[str, Received]


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        yield service


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with run_receivers() as running:
        yield running


def kill_child(service: Service, name: str) -> None:
    """One of the processes that this one started, as a lack of memory kills it."""
    pid = service.pids()[name]
    if children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(children[0]), signal.SIGKILL)


def post_until_taken(service: Service, document: dict[str, Any], key: str) -> None:
    """As a client does that was told nothing: the same again under the same key."""
    while service.try_call("/v1/releases", document, headers={"Idempotency-Key": key})[0] != 201:
        time.sleep(0.05)


def test_a_client_that_repeats_what_a_killed_child_left_unanswered_has_one_release(
    service: Service, receivers: Receivers, release_document: dict[str, Any]
) -> None:
    base_url, received = receivers
    subscribe_all(service, base_url)
    service.start("web", "worker", "beat")
    wait_until(lambda: service.get("/healthz")[0] == 200, "the API answers", service.read_logs)
    posters = [
        threading.Thread(target=post_until_taken, args=(service, release_document, f"k{number}"), daemon=True)
        for number in range(8)
    ]
    for poster in posters:
        poster.start()
    for _ in range(4):
        kill_child(service, "web")
        time.sleep(0.2)
    for poster in posters:
        poster.join(60)
    for number in range(8):
        # Also when nothing was cut off, a repeat makes none.
        post_until_taken(service, release_document, f"k{number}")
    assert count(service, "SELECT count(*) FROM releases") == 8
    await_delivered(service, RECEIVERS * 8)
    assert {len(received.releases_of(number)) for number in range(RECEIVERS)} == {8}
    assert received.repeats() == 0


def test_beat_that_was_killed_and_lost_its_memory_goes_on(
    service: Service, receivers: Receivers, tmp_path: Path
) -> None:
    """What is due without any nudge waits for beat alone; the file where it notes its last run was torn."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    service.start("web", "worker", "beat")
    wait_until(lambda: service.get("/readyz")[0] == 200, "the service is ready", service.read_logs)
    service.kill("beat")
    for path in (tmp_path / "run").glob("beat*"):
        path.write_bytes(os.urandom(path.stat().st_size // 2))
    service.valkey.flush()
    release_id = publish_one(service)
    service.start("beat")
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.repeats() == 0


STALL = f"""
CREATE TRIGGER stall AFTER INSERT ON deliveries WHEN (SELECT count(*) FROM deliveries) = {RECEIVERS // 2} BEGIN
  INSERT INTO heartbeats SELECT 'never', max(n) FROM (
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1e12) SELECT n FROM counted
  );
END
"""


def is_stalled(path: str) -> bool:
    """Whether another process keeps its write transaction for a second."""
    for _ in range(20):
        with sqlite3.connect(path, timeout=0, isolation_level=None) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                time.sleep(0.05)
                continue
            connection.execute("ROLLBACK")
            return False
    return True


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_plan_that_dies_half_written_in_sqlite_is_written_whole(service: Service, receivers: Receivers) -> None:
    """A trigger stalls the worker in the midst of its transaction, where it is killed."""
    base_url, received = receivers
    subscribe_all(service, base_url)
    release_id = publish_one(service)
    with service.storage.write() as tx:
        tx.exec_driver_sql(STALL)
    service.start("worker", "beat")
    path = str(sa.make_url(service.storage.url).database)
    wait_until(lambda: is_stalled(path), "the worker is half through", service.read_logs)
    service.kill("worker")
    service.kill("beat")
    assert count(service, "SELECT count(*) FROM deliveries") == 0
    with service.storage.write() as tx:
        tx.exec_driver_sql("DROP TRIGGER stall")
    service.start("worker", "beat")
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.repeats() == 0


def test_a_database_that_is_locked_for_longer_than_a_claim_costs_repeats_of_what_flew_at_most(
    service: Service, receivers: Receivers
) -> None:
    base_url, received = receivers
    subscribe_all(service, base_url)
    release_id = publish_one(service)
    begun = threading.Event()
    received.on_push = lambda so_far: begun.set() if so_far >= RECEIVERS // 2 else None
    service.start("worker", "beat")
    assert begun.wait(60), service.read_logs()
    with locked(service, "deliveries, attempts"):
        threading.Event().wait(CLAIM.total_seconds() + 2)
    await_delivered(service, RECEIVERS)
    assert all(received.releases_of(number) == {release_id} for number in range(RECEIVERS))
    assert received.ids_are_stable()
    assert received.repeats() <= RECEIVERS
