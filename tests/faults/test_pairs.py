"""A reader who polls both languages as fast as it can never sees one without the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import Service, run_service, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

RELEASES = 50


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        service.start_all()
        yield service


class Poller(threading.Thread):
    """Reads first one feed, then the other: whatever the first showed, the second must show as well."""

    def __init__(self, service: Service, first: str, second: str) -> None:
        super().__init__(daemon=True)
        self._service, self._paths = service, (f"/feeds/{first}.json", f"/feeds/{second}.json")
        self.stopping = threading.Event()
        self.polls = 0
        self.halves: list[set[str]] = []
        self.states: set[int] = set()

    def run(self) -> None:
        while not self.stopping.is_set():
            first, second = (self._slugs(path) for path in self._paths)
            self.polls += 1
            self.states.add(len(first))
            # Only the newest 25 are in a feed: what left it at the old end is no half.
            if first - second and not second - first:
                self.halves.append(first - second)

    def _slugs(self, path: str) -> set[str]:
        status, body = self._service.get(path)
        assert status == 200, status
        return {item["url"].rsplit("/", 1)[1] for item in json.loads(body)["items"]}


def test_no_poll_ever_sees_half_a_release(service: Service, release_document: dict[str, Any]) -> None:
    pollers = [Poller(service, *names) for names in (("zh", "en"), ("en", "zh"))]
    for poller in pollers:
        poller.start()
    slugs = [service.call("/v1/releases", release_document)["slug"] for _ in range(RELEASES)]

    def newest_is_out() -> bool:
        return all(slugs[-1].encode() in service.get(f"/feeds/{name}.atom")[1] for name in ("zh", "en"))

    wait_until(newest_is_out, "the last release is in both feeds", service.read_logs)
    for poller in pollers:
        poller.stopping.set()
        poller.join()
    for poller in pollers:
        assert poller.halves == []
        assert poller.polls > RELEASES, "the loop was not tight"
        assert len(poller.states) > 2, "the polls fell between no two publishings"
