"""Sitemaps: every live page in every language, nothing else, and no more work for a larger newsroom."""

from __future__ import annotations

import dataclasses
from itertools import chain
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from service import sitemaps
from service.config import Language, Profile
from service.model import Draft, ReleaseState
from service.storage import Storage
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.core.test_life import Newsroom

NS = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


@pytest.fixture
def draft(release_document: dict[str, Any], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


@pytest.fixture
def newsroom(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> Newsroom:
    """After its first swap, with sitemaps small enough to fill."""
    monkeypatch.setattr(sitemaps, "MOST_RELEASES", 3)
    room = Newsroom(storage, profile, clock, draft)
    room.swap()
    return room


def pages(newsroom: Newsroom, number: int) -> dict[str, dict[str, str]]:
    """Each page of one sitemap with its languages."""
    document = sitemaps.find_sitemap(newsroom.storage, newsroom.profile, number)
    assert document
    return {
        url.findtext("s:loc", namespaces=NS): {x.get("hreflang"): x.get("href") for x in url.findall("x:link", NS)}
        for url in etree.fromstring(document.body).findall("s:url", NS)
    }


def addresses(newsroom: Newsroom) -> list[str]:
    document = sitemaps.find_index(newsroom.storage, newsroom.profile)
    assert document
    return [loc.text for loc in etree.fromstring(document.body).iterfind("s:sitemap/s:loc", NS)]


def test_an_empty_newsroom_has_a_sitemap_of_its_lists(newsroom: Newsroom) -> None:
    base = newsroom.profile.base_url
    assert addresses(newsroom) == [f"{base}/sitemaps/1.xml"]
    told = {"zh-Hans": f"{base}/zh/", "en": f"{base}/en/", "x-default": f"{base}/zh/"}
    assert pages(newsroom, 1) == {f"{base}/zh/": told, f"{base}/en/": told}


def test_each_page_names_itself_and_its_siblings_as_the_page_does(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    urls = {language.tag: newsroom.profile.page_url(language, release.slug) for language in newsroom.profile.languages}
    found = pages(newsroom, 1)
    assert [found[url] for url in urls.values()] == 2 * [urls | {"x-default": urls["zh-Hans"]}]


def test_only_live_releases_are_told_of(newsroom: Newsroom) -> None:
    newsroom.accept(ReleaseState.DRAFT)
    newsroom.accept(ReleaseState.SCHEDULED, publish_at=newsroom.clock().replace(year=2027))
    gone, kept = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    newsroom.withdraw(gone)
    waiting = newsroom.accept()
    assert waiting.slug not in str(pages(newsroom, 1))
    newsroom.swap()
    slugs = {url.rpartition("/")[2] for url in pages(newsroom, 1)}
    assert slugs == {"", kept.slug, waiting.slug}


def test_sitemaps_are_cut_by_position_and_hold_every_release_once(newsroom: Newsroom) -> None:
    accepted = [newsroom.accept() for _ in range(7)]
    newsroom.swap()
    assert [address.rpartition("/")[2] for address in addresses(newsroom)] == ["1.xml", "2.xml", "3.xml"]
    found = [[url for url in pages(newsroom, number) if "/en/releases/" in url] for number in (1, 2, 3)]
    assert [len(urls) for urls in found] == [3, 3, 1]
    expected = [newsroom.profile.page_url(newsroom.profile.languages[1], release.slug) for release in accepted]
    assert list(chain.from_iterable(found)) == expected
    for number in (0, 4):
        assert sitemaps.find_sitemap(newsroom.storage, newsroom.profile, number) is None


def test_a_full_sitemap_changes_only_with_the_releases_in_it(newsroom: Newsroom) -> None:
    first, *_ = [newsroom.accept() for _ in range(3)]
    newsroom.swap()
    before = sitemaps.find_sitemap(newsroom.storage, newsroom.profile, 1)
    newsroom.accept()
    newsroom.swap()
    assert sitemaps.find_sitemap(newsroom.storage, newsroom.profile, 1) == before
    newsroom.withdraw(first)
    newsroom.swap()
    after = sitemaps.find_sitemap(newsroom.storage, newsroom.profile, 1)
    assert before and after and after.etag != before.etag and after.last_modified > before.last_modified


def test_a_correction_moves_the_date_of_its_page(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    dates = []
    for _ in range(2):
        document = sitemaps.find_sitemap(newsroom.storage, newsroom.profile, 1)
        assert document
        dates.append(etree.fromstring(document.body).findtext("s:url[3]/s:lastmod", namespaces=NS))
        newsroom.correct(release, "zh-Hans", "en")
        newsroom.swap()
    assert dates[0] < dates[1]


def test_many_languages_make_smaller_sitemaps_so_that_the_protocol_s_limits_hold(profile: Profile) -> None:
    for count in (1, 2, 10, 24, 60, 400):
        languages = tuple(Language(f"x-{n}", f"x{n}", "X") for n in range(count))
        each = sitemaps.releases_each(dataclasses.replace(profile, languages=languages))
        assert each * count <= 50_000
        # An address in its element takes 300 bytes at most.
        assert each == 1 or each * count * (count + 2) * 300 <= 50 * 2**20
    assert sitemaps.releases_each(profile) == 1000


def test_the_database_looks_at_no_more_than_one_sitemap_holds(newsroom: Newsroom) -> None:
    """Read from SQLite's plan: a search by key and position, and no scan."""
    if newsroom.storage.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the tables, which are small here")
    newsroom.accept()
    newsroom.swap()
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        newsroom.storage.engine, "before_cursor_execute",
        lambda conn, cursor, statement, parameters, context, many: asked.append((statement, parameters)),
    )
    pages(newsroom, 1)
    plans = []
    with newsroom.storage.read() as tx:
        for statement, parameters in [each for each in asked if each[0].startswith("SELECT")]:
            plans += [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any("listings USING" in plan and "position>" in plan for plan in plans), plans
    assert any("releases USING" in plan and "position>" in plan for plan in plans), plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
