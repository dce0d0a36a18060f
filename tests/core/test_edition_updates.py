"""An edition that a correction leaves alone isn't shown to its readers once more."""

from __future__ import annotations

import dataclasses

from service.feeds import entry_id
from service.messages import say
from service.model import Release
from service.releases import revise_release
from service.storage import releases
from service.web.pages import render_release
from tests.core.newsroom import ATOM, Newsroom


def correct(newsroom: Newsroom, release: Release, *languages: str) -> None:
    """Each time in other words."""
    newsroom.draft = newsroom.changed(*languages)
    newsroom.move(revise_release, release, newsroom.draft, siblings_unaffected=True)
    newsroom.swap()


def dated(newsroom: Newsroom, name: str) -> str:
    return newsroom.items(name)[0]["date_modified"]


def test_a_correction_of_one_edition_alone_changes_no_byte_of_the_others_feeds(newsroom: Newsroom) -> None:
    release, _ = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    before = {path: newsroom.body(path) for path in ("/feeds/en.atom", "/feeds/en.rss", "/feeds/en.json")}
    correct(newsroom, release, "zh-Hans")
    assert {path: newsroom.body(path) for path in before} == before
    assert newsroom.items("zh")[0]["id"] == entry_id(release.id, "zh-Hans")
    assert dated(newsroom, "zh") > dated(newsroom, "en")


def test_what_stays_as_it_was_keeps_its_date_however_often_and_moves_when_it_changes(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    dates = [dated(newsroom, "en")]
    for languages in (["zh-Hans"], ["zh-Hans"], ["zh-Hans", "en"], ["zh-Hans"]):
        correct(newsroom, release, *languages)
        dates.append(dated(newsroom, "en"))
    assert dates[0] == dates[1] == dates[2] < dates[3] == dates[4] < dated(newsroom, "zh")


def test_what_all_editions_share_concerns_them_all(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    before = {name: dated(newsroom, name) for name in ("zh", "en")}
    newsroom.move(revise_release, release, dataclasses.replace(newsroom.changed("en"), categories=()),
                  siblings_unaffected=True)
    newsroom.swap()
    assert all(dated(newsroom, name) > date for name, date in before.items())


def test_a_withdrawal_concerns_every_edition(newsroom: Newsroom) -> None:
    """Also of what a correction, that nobody has seen yet, had left alone."""
    release = newsroom.accept()
    newsroom.swap()
    before = newsroom.atom("en").findtext(f"{ATOM}updated")
    newsroom.move(revise_release, release, newsroom.changed("zh-Hans"), siblings_unaffected=True)
    newsroom.withdraw(release)
    newsroom.swap()
    assert newsroom.atom("en").findtext(f"{ATOM}updated") > before


def test_old_editions_that_stayed_as_they_were_take_no_newer_ones_places(newsroom: Newsroom) -> None:
    old, newer = ([newsroom.accept() for _ in range(many)] for many in (3, newsroom.profile.feed_entries))
    newsroom.swap()
    for release in old:
        correct(newsroom, release, "zh-Hans")
    newer.append(newsroom.accept())
    newsroom.swap()
    expected = [entry_id(release.id, "en") for release in reversed(newer[1:])]
    assert [item["id"] for item in newsroom.items("en")] == expected


def test_its_page_tells_of_no_update(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    newsroom.clock.advance(days=1)
    correct(newsroom, release, "zh-Hans")
    with newsroom.storage.read() as tx:
        shown = releases.find_public_release(tx, release.slug)
    assert shown
    pages = {
        language.tag: render_release(newsroom.profile, language, shown, edition)
        for language in newsroom.profile.languages if (edition := shown.edition(language.tag))
    }
    assert "Updated" not in pages["en"]
    assert say("zh", "page.updated") in pages["zh-Hans"]
