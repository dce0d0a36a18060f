"""Archives over HTTP: those of categories are served as those of all releases are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from service.edge import Services
from service.feeds import ARCHIVE_ENTRIES
from service.publishing import publish_due
from tests.conftest import StoppedClock
from tests.hatches import Served, serve

ARCHIVES = [f"/feeds/{name}/{rest}" for name in ("zh", "en") for rest in (
    "archive/1.atom", "archive/1.json", "visits/archive/1.atom", "visits/archive/1.json",
)]
KINDS = {"atom": "application/atom+xml; charset=utf-8", "json": "application/feed+json; charset=utf-8"}

Post = Callable[[int], None]


@pytest.fixture
def hatch(services: Services) -> Iterator[tuple[Client, Served]]:
    with serve(services) as hatch:
        yield hatch


@pytest.fixture
def post(
    hatch: tuple[Client, Served], services: Services, clock: StoppedClock, staff: dict[str, str],
    release_document: dict[str, Any],
) -> Post:
    """So many releases in the category are made public in one swap."""
    document = {**release_document, "categories": ["visits"]}

    def post(count: int) -> None:
        for _ in range(count):
            assert hatch[0].post("/v1/releases", json=document, headers=staff).status_code == 201
        clock.advance(seconds=1)
        publish_due(services.storage, services.profile, clock)

    return post


@pytest.mark.parametrize("path", ARCHIVES)
def test_an_archive_is_handed_out_from_memory_and_is_304_though_more_was_published(
    hatch: tuple[Client, Served], post: Post, path: str
) -> None:
    client, served = hatch
    post(ARCHIVE_ENTRIES)
    first = client.get(path)
    assert (first.status_code, served.by_flask) == (200, False)
    assert first.headers["Content-Type"] == KINDS[path[-4:]]
    assert "Link" not in first.headers, "an archive is no topic"
    post(1)
    again = client.get(path)
    assert (again.data, again.headers["Last-Modified"]) == (first.data, first.headers["Last-Modified"])
    for known in ({"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}):
        assert (client.get(path, headers=known).status_code, served.by_flask) == (304, False)


@pytest.mark.parametrize("path", [
    *ARCHIVES, "/feeds/en/none/archive/1.atom", "/feeds/fr/visits/archive/1.atom", "/feeds/en/visits/archive/0.json",
])
def test_an_archive_that_is_not_there_may_be_there_the_next_moment(
    hatch: tuple[Client, Served], post: Post, path: str
) -> None:
    post(ARCHIVE_ENTRIES - 1)
    missing = hatch[0].get(path)
    assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "no-store")
    post(1)
    assert hatch[0].get(path).status_code == (200 if path in ARCHIVES else 404)


def test_there_is_no_archive_in_rss(hatch: tuple[Client, Served], post: Post) -> None:
    post(ARCHIVE_ENTRIES)
    assert hatch[0].get("/feeds/en/visits/archive/1.rss").status_code == 404
