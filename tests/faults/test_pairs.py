"""A reader who polls both languages as fast as it can never sees one without the other, whatever staff do."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import Service, run_service, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

BUSY_SECONDS = 12.0
FEWEST_POLLS = 20


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url, web_processes=4, workers=2) as service:
        service.start_all()
        yield service


class Poller(threading.Thread):
    """Reads one language, then the other, then the first again.

    Whatever both looks at the first agree on, the second must say too: what it says lies between them.
    """

    def __init__(self, service: Service, first: str, second: str) -> None:
        super().__init__(daemon=True)
        self._service, self._names = service, (first, second)
        self.stopping = threading.Event()
        self.polls = 0
        self.halves: list[Any] = []
        self.states: set[Any] = set()

    def run(self) -> None:
        first, second = self._names
        before = self.look(first)
        while not self.stopping.is_set():
            between, after = self.look(second), self.look(first)
            self.polls += 1
            self.states.add(str(after))
            if before == after != between:
                self.halves.append((before, between))
            before = after

    def look(self, name: str) -> Any:
        """Something of which both languages must say the same."""
        raise NotImplementedError


class FeedPoller(Poller):
    """Every release in the feed with the number of its text, and every tombstone."""

    def look(self, name: str) -> Any:
        status, body = self._service.get(f"/feeds/{name}.json")
        assert status == 200, status
        items = json.loads(body)["items"]
        return [(item["url"].rsplit("/", 1)[1], number_of(item["title"]), item["date_modified"]) for item in items]


class PagePoller(Poller):
    """One release's page: whether it is there, with which text, or gone."""

    slug = ""

    def look(self, name: str) -> Any:
        status, body = self._service.get(f"/{name}/releases/{self.slug}")
        title = re.search(r"<title>([^<]*)", body.decode())
        return status, number_of(title[1]) if status == 200 and title else None


def number_of(headline: str) -> str:
    found = re.search(r"No\. (\d+)", headline)
    return found[1] if found else ""


def edited(document: dict[str, Any], number: int) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    copy["editions"]["zh-Hans"]["headline"] = f"两校签署合作协议 No. {number}"
    copy["editions"]["en"]["headline"] = f"Two colleges sign an accord No. {number}"
    return copy


def change(service: Service, release: dict[str, Any], path: str, document: Any, method: str = "POST") -> None:
    service.call(f"/v1/releases/{release['id']}{path}", document, method, {"If-Match": "*"})


def test_no_poll_ever_sees_half_of_anything(service: Service, release_document: dict[str, Any]) -> None:
    """Published, corrected and withdrawn under four web processes and two workers: no half in any order of reading."""
    watched = service.call("/v1/releases", edited(release_document, 0))
    PagePoller.slug = watched["slug"]
    pollers = [kind(service, *names) for kind in (FeedPoller, PagePoller) for names in (("zh", "en"), ("en", "zh"))]
    for poller in pollers:
        poller.start()
    ends_at, number = time.monotonic() + BUSY_SECONDS, 0
    posted: list[Any] = []
    while time.monotonic() < ends_at or min(poller.polls for poller in pollers) < FEWEST_POLLS:
        number += 1
        posted.append(service.call("/v1/releases", edited(release_document, number)))
        change(service, watched, "", edited(release_document, number), "PUT")
        if number % 3 == 0:
            change(service, posted.pop(0), "/withdraw", {"reason": {"en": "An error."}})
        time.sleep(0.1)
    change(service, watched, "/withdraw", {"reason": {"en": "An error."}})
    wait_until(lambda: service.get(f"/en/releases/{watched['slug']}")[0] == 410, "it is gone", service.read_logs)
    for poller in pollers:
        poller.stopping.set()
        poller.join()
    for poller in pollers:
        assert poller.halves == [], type(poller).__name__
        assert len(poller.states) > 3, "the polls fell between no two swaps"
