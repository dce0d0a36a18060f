"""What an entry leaves behind in Atom (RFC 6721): when, why, and the way to what took its place."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from lxml import etree

from service import subscriptions
from service.model import Release, Withdrawal
from service.releases import withdraw_release
from service.storage import claims
from service.storage.tables import releases
from tests.core.newsroom import ATOM, TOMBSTONE, Newsroom, archive

COMMENT = TOMBSTONE.replace("deleted-entry", "comment")
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
REASON = {"zh-Hans": "数字有误", "en": "A number was wrong."}


def take_back(newsroom: Newsroom, release: Release, successor: UUID | None = None, **reason: str) -> None:
    newsroom.move(withdraw_release, release, Withdrawal(reason=reason or REASON, superseded_by=successor))


def told(document: Any) -> list[tuple[str | None, list[dict[str, str]]]]:
    """Each tombstone's comment and links."""
    return [
        (stone.findtext(COMMENT), [dict(link.attrib) for link in stone.findall(f"{ATOM}link")])
        for stone in document.iter(TOMBSTONE)
    ]


def way(newsroom: Newsroom, name: str, tag: str, release: Release) -> dict[str, str]:
    href = f"{newsroom.profile.base_url}/{name}/releases/{release.slug}"
    return {"rel": "successor-version", "type": "text/html", "hreflang": tag, "href": href}


@pytest.mark.parametrize("together", [False, True])
def test_a_tombstone_leads_to_what_took_the_release_s_place(newsroom: Newsroom, together: bool) -> None:
    """Also where both go public in the same swap: whoever mends a release at once withdraws the old one at once."""
    release = newsroom.accept()
    newsroom.swap()
    successor = newsroom.accept()
    if not together:
        newsroom.swap()
    take_back(newsroom, release, successor.id)
    newsroom.swap()
    assert told(newsroom.atom("zh")) == [
        ("数字有误；已由另一篇发布稿取代。", [way(newsroom, "zh", "zh-Hans", successor)])
    ]
    assert told(newsroom.atom("en")) == [
        ("A number was wrong. Another release has taken its place.", [way(newsroom, "en", "en", successor)])
    ]
    [comment] = newsroom.atom("en").iter(COMMENT)
    assert comment.get(LANG) == "en"


def test_it_keeps_doing_so_in_later_swaps_and_in_the_archive(newsroom: Newsroom) -> None:
    accepted = [newsroom.accept() for _ in range(26)]
    newsroom.swap()
    take_back(newsroom, accepted[3], accepted[25].id)
    newsroom.swap()
    before = etree.tostring(archive(newsroom, 1))
    newsroom.correct(accepted[25], "zh-Hans", "en")
    newsroom.swap()
    assert etree.tostring(archive(newsroom, 1)) == before, "nothing changed in the archive"
    for document in (newsroom.atom("en"), archive(newsroom, 1)):
        [(comment, links)] = told(document)
        assert comment and links == [way(newsroom, "en", "en", accepted[25])]


def test_where_there_is_no_page_in_the_language_it_leads_to_the_others(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.draft = dataclasses.replace(newsroom.draft, editions=newsroom.draft.editions[:1])
    successor = newsroom.accept()
    newsroom.swap()
    take_back(newsroom, release, successor.id)
    newsroom.swap()
    assert [links for _, links in told(newsroom.atom("en"))] == [[way(newsroom, "zh", "zh-Hans", successor)]]


def test_a_mere_withdrawal_says_why_as_far_as_that_was_said_in_the_language(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    take_back(newsroom, release, en="An error.")
    newsroom.swap()
    assert (told(newsroom.atom("en")), told(newsroom.atom("zh"))) == ([("An error.", [])], [(None, [])])


@pytest.mark.parametrize(("reason", "comment"), [
    ("<b>&amp;</b> ]]>", "<b>&amp;</b> ]]>"), ("a\x0bb\uffffc", "abc"), ("First.\n\nSecond.", "First."),
])
def test_no_reason_breaks_a_feed(newsroom: Newsroom, reason: str, comment: str) -> None:
    """Nobody checks its characters, and a feed that can't be written holds up all news."""
    release = newsroom.accept()
    newsroom.swap()
    take_back(newsroom, release, en=reason)
    assert newsroom.swap() == 1
    assert told(newsroom.atom("en")) == [(comment, [])]


def test_a_long_reason_is_cut(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    take_back(newsroom, release, en="long " * 400)
    newsroom.swap()
    [(comment, _)] = told(newsroom.atom("en"))
    assert comment and len(comment) < 200 and comment.endswith("…")


def test_of_what_was_withdrawn_before_links_were_kept_only_the_words_are_told(newsroom: Newsroom) -> None:
    release, successor = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    take_back(newsroom, release, successor.id)
    with newsroom.storage.write() as tx:
        old = {"reason": REASON, "superseded_by": str(successor.id)}
        tx.execute(releases.update().where(releases.c.id == release.id).values(withdrawal=sa.literal(old, sa.JSON)))
    newsroom.swap()
    assert told(newsroom.atom("en")) == [("A number was wrong. Another release has taken its place.", [])]


def test_a_pushed_tombstone_says_as_much_in_each_language(newsroom: Newsroom) -> None:
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    subscriptions.subscribe(newsroom.storage, order | {"format": "atom"}, newsroom.clock())
    release, successor = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    claim_first(newsroom)
    take_back(newsroom, release, successor.id)
    newsroom.swap()
    stones = etree.fromstring(claim_first(newsroom))
    assert told(stones) == [
        ("数字有误；已由另一篇发布稿取代。", [way(newsroom, "zh", "zh-Hans", successor)]),
        ("A number was wrong. Another release has taken its place.", [way(newsroom, "en", "en", successor)]),
    ]
    assert [comment.get(LANG) for comment in stones.iter(COMMENT)] == ["zh-Hans", "en"]


def claim_first(newsroom: Newsroom) -> bytes:
    """What a courier sends that then dies."""
    with newsroom.storage.write() as tx:
        [first, *_] = claims.hold_due(tx, "courier", limit=9, now=newsroom.clock(), until=newsroom.clock()).read()
    return first.body
