"""How readers, importers and search engines find their way: lists of feeds, former feeds, sitemaps."""

from __future__ import annotations

import dataclasses
import re
from contextlib import ExitStack, suppress

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.drawing import Overloaded
from service.edge import Services
from service.publishing import publish_due
from tests.conftest import StoppedClock

LISTS = ["/feeds.opml", "/feeds/zh.opml", "/feeds/en.opml"]


@pytest.fixture
def drawn(client: FlaskClient, services: Services, clock: StoppedClock) -> FlaskClient:
    """The newsroom after its first swap."""
    publish_due(services.storage, services.profile, clock)
    return client


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_feeds_is_cached_and_answered_304_like_a_feed(drawn: FlaskClient, path: str) -> None:
    answer = drawn.get(path)
    assert (answer.status_code, answer.content_type) == (200, "text/x-opml; charset=utf-8")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    for known in ({"If-None-Match": answer.headers["ETag"]}, {"If-Modified-Since": answer.headers["Last-Modified"]}):
        assert drawn.get(path, headers=known).status_code == 304


def test_a_list_changes_with_the_profile_and_not_with_the_news(
    drawn: FlaskClient, services: Services, clock: StoppedClock
) -> None:
    before = {path: drawn.get(path) for path in LISTS}
    chinese = {"zh-Hans": "另一个新闻室"}
    clock.advance(seconds=1)
    publish_due(
        services.storage, dataclasses.replace(services.profile, name={**services.profile.name, **chinese}), clock
    )
    after = {path: drawn.get(path) for path in LISTS}
    assert [path for path in LISTS if after[path].headers["ETag"] != before[path].headers["ETag"]] == LISTS[:2]
    assert after["/feeds/zh.opml"].last_modified > before["/feeds/zh.opml"].last_modified  # type: ignore[operator]
    assert after["/feeds/en.opml"].last_modified == before["/feeds/en.opml"].last_modified


RENAMED = {"cn": "zh", "en/trips": "en/visits"}


@pytest.mark.parametrize("rest", [".atom", ".rss", ".json", "/archive/1.atom"])
def test_a_reader_of_a_former_feed_is_told_where_it_is_or_that_it_ended(
    drawn: FlaskClient, services: Services, rest: str
) -> None:
    profile = dataclasses.replace(services.profile, retired_feeds=("de", "en/old"), renamed_feeds=RENAMED)
    client = create_app(dataclasses.replace(services, profile=profile)).test_client()
    for name, new in RENAMED.items():
        moved = client.get(f"/feeds/{name}{rest}")
        assert (moved.status_code, moved.headers["Location"]) == (301, f"/feeds/{new}{rest}")
    for name in profile.retired_feeds:
        ended = client.get(f"/feeds/{name}{rest}", headers={"Accept-Language": "zh"})
        assert (ended.status_code, ended.json["code"]) == (410, "feed_retired")
        assert "停用" in ended.json["title"]
    assert client.get("/problems/feed_retired").status_code == 200


def test_documents_of_a_category_that_is_no_more_are_gone_after_the_next_swap(
    drawn: FlaskClient, services: Services, clock: StoppedClock
) -> None:
    term, *rest = services.profile.categories
    assert drawn.get(f"/feeds/en/{term}.rss").status_code == 200
    profile = dataclasses.replace(services.profile, categories={key: services.profile.categories[key] for key in rest})
    clock.advance(seconds=1)
    publish_due(services.storage, profile, clock)
    assert drawn.get(f"/feeds/en/{term}.rss").status_code == 404
    assert f"/{term}." not in drawn.get("/feeds.opml").text


@pytest.mark.parametrize("path", ["/sitemap.xml", "/sitemaps/1.xml"])
def test_a_sitemap_is_cached_and_answered_304_like_a_feed(drawn: FlaskClient, path: str) -> None:
    answer = drawn.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/xml")
    for known in ({"If-None-Match": answer.headers["ETag"]}, {"If-Modified-Since": answer.headers["Last-Modified"]}):
        assert drawn.get(path, headers=known).status_code == 304


def test_search_engines_are_told_of_the_sitemap(drawn: FlaskClient, services: Services) -> None:
    address = f"{services.profile.base_url}/sitemap.xml"
    assert f"\nSitemap: {address}\n" in drawn.get("/robots.txt").text
    assert drawn.get("/sitemaps/2.xml").status_code == 404


def test_before_the_first_swap_there_is_no_sitemap(client: FlaskClient) -> None:
    assert [client.get(path).status_code for path in ("/sitemap.xml", "/sitemaps/1.xml")] == [404, 404]


DRAWN = {
    "sitemaps": ["/sitemap.xml", "/sitemaps/1.xml"],
    "en": ["/feeds/en/archive/1.atom", "/feeds/en/archive/1.json"],
    "zh-Hans": ["/feeds/zh/archive/1.json", "/feeds/zh/archive/2.atom"],
    "en/visits": ["/feeds/en/visits/archive/1.atom", "/feeds/en/visits/archive/1.json"],
}


@pytest.mark.parametrize("feed", DRAWN)
def test_too_many_for_one_feed_that_is_drawn_are_told_to_wait_and_nobody_else_is(
    drawn: FlaskClient, services: Services, feed: str
) -> None:
    with services.drawing_room.draw(feed), services.drawing_room.draw(feed):
        for path in DRAWN[feed]:
            refused = drawn.get(path, headers={"Accept-Language": "zh"})
            assert (refused.status_code, refused.json["code"]) == (503, "overloaded")
            assert 0 < int(refused.headers["Retry-After"]) < 30
        others = [path for other, paths in DRAWN.items() if other != feed for path in paths]
        assert {drawn.get(path).status_code for path in others} <= {200, 404}
    assert {drawn.get(path).status_code for path in DRAWN[feed]} <= {200, 404}


def test_current_feeds_and_lists_are_served_when_no_more_can_be_drawn(drawn: FlaskClient, services: Services) -> None:
    with ExitStack() as room:
        for feed in (*DRAWN, *DRAWN):
            with suppress(Overloaded):
                room.enter_context(services.drawing_room.draw(feed))
        for path in (path for paths in DRAWN.values() for path in paths):
            assert drawn.get(path).status_code == 503
        for path in (*LISTS, "/feeds/en.atom", "/feeds/zh.json", "/feeds/en/visits.rss", "/zh/"):
            assert drawn.get(path).status_code == 200


@pytest.mark.parametrize(("path", "words"), [("/zh/feeds/", "阅读器"), ("/en/feeds/", "feed reader")])
def test_the_page_of_feeds_is_served_and_all_that_it_lists_is_there(drawn: FlaskClient, path: str, words: str) -> None:
    page = drawn.get(path)
    assert page.status_code == 200 and words in page.text
    listed = re.findall(r'href="(/feeds[^"]*)"', page.text)
    assert len(listed) > 12 and {drawn.get(each).status_code for each in listed} == {200}
    assert drawn.get("/xx/feeds/").status_code == 404
