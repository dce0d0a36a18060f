"""What is handed out before Flask is what Flask would say now, whoever swapped the feeds meanwhile."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from service.config import Profile
from service.edge import Services
from service.hatch import MOST_FIELD_BYTES
from service.publishing import publish_due
from service.storage import Storage
from tests.conftest import StoppedClock
from tests.hatches import Served, serve

PATHS = [f"/feeds/{name}.json" for name in ("zh", "en")]


@pytest.fixture
def hatch(services: Services) -> Iterator[tuple[Client, Served]]:
    with serve(services) as hatch:
        yield hatch


def post(client: Client, release_document: dict[str, Any], staff: dict[str, str]) -> str:
    answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert answer.status_code == 201
    slug: str = answer.json["slug"]
    return slug


@pytest.mark.parametrize("path", ["/feeds/zh.atom", "/feeds/en.rss", "/feeds/en/visits.json"])
def test_a_document_that_was_asked_for_before_needs_no_flask(
    hatch: tuple[Client, Served], services: Services, clock: StoppedClock, path: str
) -> None:
    client, served = hatch
    publish_due(services.storage, services.profile, clock)
    for method in ("GET", "HEAD"):
        answer = client.open(path, method=method)
        assert (answer.status_code, served.by_flask) == (200, False)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, Last-Modified, Link"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/feeds/zh.atom"), ("OPTIONS", "/feeds/zh.atom"), ("GET", "/feeds/zh.xml"), ("GET", "/zh/"),
    ("GET", "/feeds/zh/archive/1.atom"), ("GET", "/feeds/zh/visits/archive/1.atom"), ("GET", "/feeds/zh.atom?x=1"),
])
def test_all_else_goes_to_flask(
    hatch: tuple[Client, Served], services: Services, clock: StoppedClock, method: str, path: str
) -> None:
    client, served = hatch
    publish_due(services.storage, services.profile, clock)
    client.get("/feeds/zh.atom")
    client.open(path, method=method)
    assert served.by_flask


def test_another_processs_swap_is_in_the_next_answer_in_every_language(
    hatch: tuple[Client, Served], database_url: str, profile: Profile, staff: dict[str, str], clock: StoppedClock,
    release_document: dict[str, Any],
) -> None:
    client, _ = hatch
    other = Storage(database_url)
    for _ in range(4):
        slug = post(client, release_document, staff)
        clock.advance(seconds=1)
        publish_due(other, profile, clock)
        for path in PATHS:
            assert slug in client.get(path).text
    other.close()


def test_long_fields_go_to_flask_which_says_the_same(
    hatch: tuple[Client, Served], services: Services, clock: StoppedClock
) -> None:
    client, served = hatch
    publish_due(services.storage, services.profile, clock)
    tag = client.get("/feeds/zh.atom").headers["ETag"]
    answers = []
    for fill in (1, MOST_FIELD_BYTES):
        answers.append(client.get("/feeds/zh.atom", headers={"If-None-Match": f'"{"x" * fill}", {tag}'}))
        assert served.by_flask is (fill == MOST_FIELD_BYTES)
    assert [answer.status_code for answer in answers] == [304, 304]
    assert dict(answers[0].headers) == dict(answers[1].headers)


def test_without_the_database_nothing_is_handed_out(
    tmp_path: Path, services: Services, database_url: str, clock: StoppedClock
) -> None:
    """What is remembered might be the half of a pair."""
    if not database_url.startswith("sqlite"):
        pytest.skip("a PostgreSQL that stops is in tests/core/test_watch.py")
    services = dataclasses.replace(services, storage=Storage(database_url, busy_seconds=0.1))
    publish_due(services.storage, services.profile, clock)
    with serve(services) as (client, served):
        client.get("/feeds/zh.atom")
        assert not served.by_flask
        served.watch.close()
        services.storage.close()
        blocker = sqlite3.connect(tmp_path / "diglot.sqlite3", isolation_level=None)
        blocker.execute("PRAGMA locking_mode=EXCLUSIVE")
        blocker.execute("UPDATE generations SET number = number")
        answer = client.get("/feeds/zh.atom")
        assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        blocker.close()
        assert client.get("/feeds/zh.atom").status_code == 200
        assert not served.by_flask
