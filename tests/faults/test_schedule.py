"""A scheduled release is out at its second and never before it, also where everything dies over its minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.storage import heartbeats
from tests.faults.processes import Service, run_service, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

# Without it the watchers would take the machine from those whom they watch.
PAUSE_SECONDS = 0.02
# As `workers.app` has it, which needs a broker to be read.
SWEEP_SECONDS = 2.0
PATHS = ("/feeds/zh.json", "/feeds/en.json", "/zh/releases/{}", "/en/releases/{}")


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        service.start_all()
        yield service


def schedule(service: Service, document: dict[str, Any], at: int) -> str:
    """The slug of a release that is to go out at this second."""
    slug = f"scheduled-for-{at}"
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    service.call("/v1/releases", document | {"publish_at": moment, "slug": slug})
    return slug


def shows(service: Service, path: str, slug: str) -> bool:
    status, body = service.get(path.format(slug))
    assert status in (200, 404)
    return status == 200 and slug.encode() in body


class Watcher(threading.Thread):
    """Asks for everything in turn, again and again; ``is_all_out`` says whether all was there in the end."""

    def __init__(self, service: Service, slug: str, at: int) -> None:
        super().__init__(daemon=True)
        self._service, self._slug, self._at = service, slug, at
        self.early: list[str] = []
        self.is_all_out = False

    def run(self) -> None:
        missing = list(PATHS)
        while missing and time.time() < self._at + 60:
            time.sleep(PAUSE_SECONDS)
            for path in list(missing):
                if shows(self._service, path, self._slug):
                    missing.remove(path)
                    if time.time() < self._at:
                        self.early.append(path)
        self.is_all_out = not missing


def watch_two(service: Service, document: dict[str, Any]) -> list[Watcher]:
    """Scheduled for two seconds that follow each other."""
    at = int(time.time()) + 4
    watchers = [Watcher(service, schedule(service, document, each), each) for each in (at, at + 1)]
    for watcher in watchers:
        watcher.start()
    return watchers


def test_a_release_is_out_after_its_second_and_never_before(service: Service, release_document: dict[str, Any]) -> None:
    watchers = watch_two(service, release_document)
    for watcher in watchers:
        watcher.join()
    assert [(watcher.early, watcher.is_all_out) for watcher in watchers] == [([], True)] * 2


def test_a_release_waits_for_no_sweep(service: Service, release_document: dict[str, Any]) -> None:
    """The last sweep before its second has it brought out at that second; here none comes after."""
    at = int(time.time()) + 4
    slug = schedule(service, release_document, at)
    wait_until(lambda: find_last_sweep(service) > at - SWEEP_SECONDS, "it is due before another sweep")
    service.kill("beat")
    wait_until(lambda: all(shows(service, path, slug) for path in PATHS), "it is out", service.read_logs)


def find_last_sweep(service: Service) -> float:
    with service.storage.read() as tx:
        moment = heartbeats.find_heartbeat(tx, "worker")
    return moment.timestamp() if moment else 0.0


def test_others_that_go_out_meanwhile_take_nobody_along(service: Service, release_document: dict[str, Any]) -> None:
    watchers = watch_two(service, release_document)
    while any(watcher.is_alive() for watcher in watchers):
        service.call("/v1/releases", release_document)
        for watcher in watchers:
            watcher.join(0.1)
    assert [watcher.early for watcher in watchers] == [[], []]
    assert all(watcher.is_all_out for watcher in watchers), service.read_logs()


def test_a_release_goes_out_after_worker_and_broker_died_over_its_minute(
    service: Service, release_document: dict[str, Any]
) -> None:
    at = int(time.time()) + 4
    slugs = [schedule(service, release_document, at + offset) for offset in (1, 0)]
    service.kill("worker")
    service.valkey.flush()
    service.valkey.kill()
    wait_until(lambda: time.time() > at + 2, "its minute is over")
    assert not any(shows(service, path, slug) for path in PATHS for slug in slugs)
    service.valkey.restart()
    service.start("worker")
    wait_until(
        lambda: service.keep_up() or all(shows(service, path, slug) for path in PATHS for slug in slugs),
        "both are out", service.read_logs,
    )
    for name in ("zh", "en"):
        feed = service.get(f"/feeds/{name}.atom")[1]
        assert feed.index(slugs[0].encode()) < feed.index(slugs[1].encode()), "in the order of their times"
