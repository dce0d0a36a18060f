"""Over the real server with its two processes: none of them hands out an older generation than another has shown."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from service.config import Profile, load_profile
from service.model import ReleaseState
from service.publishing import publish_due
from service.releases import accept_release
from service.storage import Storage
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.factories import make_desk
from tests.faults.processes import Service, run_service, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

# That the kernel gives all of them to one process is as likely as 23 heads in a row.
CONNECTIONS = 24
SWAPS = 10


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        service.start("web")
        wait_until(lambda: service.get("/healthz")[0] == 200, "the web answers", service.read_logs)
        yield service


class Desk:
    """Publishes as a worker does, but a swap takes no second."""

    def __init__(self, service: Service, release_document: dict[str, Any], clock: StoppedClock) -> None:
        self._storage: Storage = service.storage
        self._profile: Profile = load_profile(service.settings.profile_path)
        self._draft = validate_release(release_document, self._profile)
        self._key, self._clock = make_desk(service.storage), clock
        clock.advance(days=365)

    def swap(self) -> str:
        self._clock.advance(seconds=1)
        release = accept_release(self._storage, self._draft, ReleaseState.PUBLISHED, self._clock(), self._key)
        assert publish_due(self._storage, self._profile, self._clock).count == 1
        return release.slug


@pytest.fixture
def desk(service: Service, release_document: dict[str, Any], clock: StoppedClock) -> Desk:
    return Desk(service, release_document, clock)


def fetch(connection: http.client.HTTPConnection, name: str) -> list[str]:
    connection.request("GET", f"/feeds/{name}.json")
    answer = connection.getresponse()
    assert answer.status == 200
    return [item["url"].rsplit("/", 1)[1] for item in json.loads(answer.read())["items"]]


def test_every_process_serves_a_swap_at_once(service: Service, desk: Desk) -> None:
    with ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", service.port) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.callback(connection.close)
        for _ in range(SWAPS):
            slug = desk.swap()
            for name in ("zh", "en", "zh"):
                assert [fetch(connection, name)[0] for connection in connections] == [slug] * CONNECTIONS


def test_readers_that_race_with_swaps_never_go_back(service: Service, desk: Desk) -> None:
    """What one connection has shown, in either language, the next must show too, in the other one."""
    done, went_back, reads = threading.Event(), [], []

    def read(order: tuple[str, str]) -> None:
        newest: list[str] = []
        while not done.is_set():
            for name in order:
                connection = http.client.HTTPConnection("127.0.0.1", service.port)
                try:
                    shown = fetch(connection, name)
                finally:
                    connection.close()
                if newest and newest[0] not in shown:
                    went_back.append((order, newest[0]))
                newest = shown
                reads.append(shown[0] if shown else "")

    readers = [threading.Thread(target=read, args=(order,)) for order in (("zh", "en"), ("en", "zh")) * 2]
    for reader in readers:
        reader.start()
    try:
        slugs = []
        for number in range(SWAPS * 2):
            slugs.append(desk.swap())
            wait_until(lambda number=number: len(reads) > number * 8, "readers read", service.read_logs)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert went_back == []
    assert len(set(reads) & set(slugs)) > SWAPS, "the reads fell between too few swaps"


def test_a_field_that_comes_twice_is_one_list(service: Service, desk: Desk) -> None:
    desk.swap()
    tag = head(service.port)["etag"]
    for _ in range(CONNECTIONS):
        status = head(service.port, f"If-None-Match: {tag}", 'If-None-Match: "a"')["status"]
        assert status == "304"


def head(port: int, *fields: str) -> dict[str, str]:
    with socket.create_connection(("127.0.0.1", port), 20) as raw:
        lines = ("HEAD /feeds/zh.atom HTTP/1.1", "Host: x", "Connection: close", *fields, "", "")
        raw.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode("latin-1")
    start, *rest = answer.split("\r\n\r\n")[0].split("\r\n")
    return {"status": start.split()[1]} | {
        name.lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)
    }
