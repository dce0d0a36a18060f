"""A reader who polls both languages as fast as it can never sees one without the other."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import Service, run_service, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

# Fifty releases; readers see each burst before the next comes, so that they meet more than one swap.
BURSTS = (10, 10, 30)


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
        self._seen: set[str] = set()

    def run(self) -> None:
        while not self.stopping.is_set():
            first, second = (self._slugs(path) for path in self._paths)
            self.polls += 1
            self.states.add(len(first))
            self._seen = first & second
            # Only the newest 25 are in a feed: what left it at the old end is no half.
            if first - second and not second - first:
                self.halves.append(first - second)

    def sees(self, slug: str) -> bool:
        return slug in self._seen

    def _slugs(self, path: str) -> set[str]:
        status, body = self._service.get(path)
        assert status == 200, status
        return {item["url"].rsplit("/", 1)[1] for item in json.loads(body)["items"]}


def test_no_poll_ever_sees_half_a_release(service: Service, release_document: dict[str, Any]) -> None:
    pollers = [Poller(service, *names) for names in (("zh", "en"), ("en", "zh"))]
    for poller in pollers:
        poller.start()
    for burst in BURSTS:
        last = [service.call("/v1/releases", release_document)["slug"] for _ in range(burst)][-1]
        for poller in pollers:
            wait_until(functools.partial(poller.sees, last), "the last is in both feeds", service.read_logs)
    for poller in pollers:
        poller.stopping.set()
        poller.join()
    for poller in pollers:
        assert poller.halves == []
        assert poller.polls > sum(BURSTS), "the loop was not tight"
        assert len(poller.states) >= len(BURSTS), "the polls fell between no two publishings"
