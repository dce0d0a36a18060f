"""Every feed document of a newsroom with 300 releases in every state: valid, complete, and of nothing else.

Valid is what RFC 4287's own schema takes, and what the W3C's feed validator has no complaint about; its complaints
are looked for here independently.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import product
from pathlib import Path

import pytest
from lxml import etree, html

from service.config import Language
from service.feeds import ARCHIVE_ENTRIES, entry_id
from tests.formats.newsroom import ATOM, GONE, NEVER_PUBLIC, Whole, next_page, previous_archive, token

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("atom.rng")))
TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"
DC = "{http://purl.org/dc/elements/1.1/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
MEDIA_CONTENT = "{http://search.yahoo.com/mrss/}content"
URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
# What the validator takes for HTML in a text that doesn't say that it is.
HTML = re.compile(r"</?(a|b|br|code|div|em|h\d|i|img|li|ol|p|pre|script|span|strong|table|ul)\b[^<>]*>|&(\w+|#\d+);")


# How many of each category's are full: of all 240, of 180, 120 and 60 releases.
ARCHIVES = {"": 9, "visits": 7, "agreements": 4, "events": 2}


def entries(whole: Whole, path: str) -> list[etree._Element]:
    return whole.atom(path).findall(f"{ATOM}entry" if path.endswith(".atom") else "channel/item")


def ids(whole: Whole, path: str) -> list[str]:
    if path.endswith(".json"):
        return [item["id"] for item in json.loads(whole.documents[path])["items"]]
    return [entry.findtext(f"{ATOM}id" if path.endswith(".atom") else "guid") for entry in entries(whole, path)]


def name_of(language: Language, category: str) -> str:
    return f"{language.url_name}/{category}" if category else language.url_name


def live_in(whole: Whole, language: Language, category: str) -> set[str]:
    here = [release for release in whole.accepted if not category or category in release.categories]
    return {entry_id(release.id, language.tag) for release in here} & set(whole.expected[language.tag])


def walk(whole: Whole, format: str, name: str) -> list[str]:
    """The paths of one feed from the current document to the oldest archive."""
    step = previous_archive if format == "atom" else next_page
    paths = [f"/feeds/{name}.{format}"]
    while url := step(whole.documents[paths[-1]]):
        paths.append(url.removeprefix(whole.profile.base_url))
    return paths


def test_the_newsroom_is_what_it_is_meant_to_be(whole: Whole) -> None:
    """Four languages, three categories and all; what was public once fills archives, of which French needs none."""
    assert len(whole.paths("rss")) == 4 * 4
    assert len(whole.paths("atom")) == len(whole.paths("json")) == 4 * 4 + 3 * sum(ARCHIVES.values())
    assert [len(found) for found in whole.expected.values()] == [180, 180, 60, 0]


def test_every_atom_document_is_valid_by_the_schema_of_rfc_4287(whole: Whole) -> None:
    faults = {path: str(SCHEMA.error_log) for path in whole.paths("atom") if not SCHEMA.validate(whole.atom(path))}
    assert not faults


@pytest.mark.parametrize(("old", "new"), [
    (b"<updated>", b"<updated>x"), (b"<id>", b"<id>a</id><id>"), (b"</title>", b"</title><title/>"),
    (b'hreflang="en"', b'hreflang="en_GB"'), (b'type="html"', b'type="CDATA"'),
    (b"<published>", b"<issued/><published>"),
])
def test_the_schema_refuses_what_rfc_4287_refuses(whole: Whole, old: bytes, new: bytes) -> None:
    spoilt = whole.documents["/feeds/en.atom"].replace(old, new)
    assert not SCHEMA.validate(etree.fromstring(spoilt))


def test_each_entry_has_an_author_and_a_page_of_its_own(whole: Whole) -> None:
    """The rules that the schema can't say."""
    for path in whole.paths("atom"):
        assert whole.atom(path).findtext(f"{ATOM}author/{ATOM}name")
        for entry in entries(whole, path):
            assert len(entry.findall(f"{ATOM}link[@rel='alternate']")) == 1


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_no_id_stands_twice_in_a_document(whole: Whole, format: str) -> None:
    assert [path for path in whole.paths(format) if max(Counter(ids(whole, path)).values(), default=0) > 1] == []


def test_no_two_entries_share_their_updated(whole: Whole) -> None:
    for path in whole.paths("atom"):
        moments = [entry.findtext(f"{ATOM}updated") for entry in entries(whole, path)]
        assert len(set(moments)) == len(moments), path


def test_no_date_lies_in_the_future(whole: Whole) -> None:
    for path, body in whole.documents.items():
        found = list(dates(path, body))
        assert found and max(found) <= whole.now, path


def dates(path: str, body: bytes) -> Iterator[datetime]:
    if path.endswith(".json"):
        # The format has none of the feed itself, and no feed is younger than the newsroom's first swap.
        yield datetime.fromisoformat("2026-11-24T00:00:00Z")
        for item in json.loads(body)["items"]:
            yield from (datetime.fromisoformat(item[name]) for name in ("date_published", "date_modified"))
    elif path.endswith(".atom"):
        root = etree.fromstring(body)
        yield from (datetime.fromisoformat(e.text) for e in root.iter(f"{ATOM}updated", f"{ATOM}published"))
        yield from (datetime.fromisoformat(stone.get("when")) for stone in root.iter(TOMBSTONE))
    else:
        yield from (parsedate_to_datetime(e.text) for e in etree.fromstring(body).iter("pubDate", "lastBuildDate"))


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_every_address_is_an_absolute_uri_in_ascii_also_within_the_text(whole: Whole, format: str) -> None:
    for path in whole.paths(format):
        found = [*addresses(path, whole.documents[path])]
        assert found and not [url for url in found if not URI.fullmatch(url)], path


def addresses(path: str, body: bytes) -> Iterator[str]:
    if path.endswith(".json"):
        document = json.loads(body)
        yield from (value for name, value in document.items() if name.endswith("_url"))
        yield from (item["url"] for item in document["items"])
        yield from (file["url"] for item in document["items"] for file in item.get("attachments", ()))
        texts = [item["content_html"] for item in document["items"]]
    else:
        root = etree.fromstring(body)
        yield from (e.get("href", e.text) for e in root.iter(f"{ATOM}link", "link", "docs", f"{ATOM}id", f"{ATOM}icon"))
        yield from (e.get("url") for e in root.iter("enclosure", MEDIA_CONTENT))
        texts = [e.text for e in root.iter(f"{ATOM}content", CONTENT)]
    for text in texts:
        yield from (url for _, _, url, _ in html.fragment_fromstring(text, create_parent="div").iterlinks())


def test_no_text_that_is_declared_as_text_holds_html(whole: Whole) -> None:
    for path in whole.paths("atom"):
        for element in whole.atom(path).iter(*(f"{ATOM}{name}" for name in ("title", "subtitle", "summary"))):
            assert element.get("type", "text") == "text"
            assert not HTML.search(element.text), (path, element.text)


def test_nothing_in_rss_says_twice_what_it_says(whole: Whole) -> None:
    for path in whole.paths("rss"):
        channel = whole.atom(path).find("channel")
        assert channel.findtext("language") and channel.find(f"{DC}language") is None
        for item in channel.iter("item"):
            assert item.find(f"{DC}language") is None
            tags = Counter(child.tag for child in item)
            assert [tags[name] for name in ("title", "link", "description", "guid", "pubDate")] == [1] * 5
            assert tags["enclosure"] <= 1
            assert item.find("author") is None or item.find(f"{DC}creator") is None


def test_no_image_of_rss_is_larger_than_it_may_be(whole: Whole) -> None:
    """88 by 31 unless told, 144 by 400 at most; nobody tells us how large the newsroom's icon is."""
    for path in whole.paths("rss"):
        for image in whole.atom(path).iterfind("channel/image"):
            assert int(image.findtext("width", "999")) <= 144 and int(image.findtext("height", "999")) <= 400


@pytest.mark.parametrize("format", ["atom", "json"])
def test_whoever_walks_back_meets_every_live_release_and_no_other(whole: Whole, format: str) -> None:
    for language, category in product(whole.profile.languages, ARCHIVES):
        current, *archives = walk(whole, format, name_of(language, category))
        found = {id for path in (current, *archives) for id in ids(whole, path)}
        assert found == live_in(whole, language, category)
        numbers = range(ARCHIVES[category], 0, -1) if found else ()
        assert [path.rpartition("/")[2] for path in archives] == [f"{number}.{format}" for number in numbers]
        held = Counter(id for path in archives for id in ids(whole, path))
        assert max(held.values(), default=1) == 1, "each release is in one archive"
        assert all(len(ids(whole, path)) <= ARCHIVE_ENTRIES for path in archives)


def test_archives_lead_back_to_the_current_feed_and_are_marked(whole: Whole) -> None:
    for language, category in product(whole.profile.languages, ARCHIVES):
        current, *archives = walk(whole, "atom", name_of(language, category))
        for path in archives:
            root = whole.atom(path)
            assert root.find("{http://purl.org/syndication/history/1.0}archive") is not None
            assert root.find(f"{ATOM}link[@rel='current']").get("href") == whole.profile.base_url + current
            assert root.findtext(f"{ATOM}id") == whole.atom(current).findtext(f"{ATOM}id"), "the same logical feed"


def test_each_withdrawal_has_its_tombstone_in_the_archive_and_nothing_live_has_one(whole: Whole) -> None:
    gone = [release for number, release in enumerate(whole.accepted) if number % 10 in GONE]
    for language, category in product(whole.profile.languages, ARCHIVES):
        here = [release for release in gone if not category or category in release.categories]
        expected = {entry_id(release.id, language.tag) for release in here if release.edition(language.tag)}
        _, *archives = walk(whole, "atom", name_of(language, category))
        stones = [stone.get("ref") for path in archives for stone in whole.atom(path).iter(TOMBSTONE)]
        # The last releases are in no archive yet.
        assert set(stones) <= expected and len(stones) >= len(expected) * 0.8
        assert not set(stones) & set(whole.expected[language.tag])


def test_category_feeds_hold_the_newest_of_their_category_and_what_no_archive_does(whole: Whole) -> None:
    for language in whole.profile.languages:
        for term in whole.profile.categories:
            found = set(ids(whole, f"/feeds/{language.url_name}/{term}.json"))
            live = live_in(whole, language, term)
            most = whole.profile.feed_entries
            assert found <= live and min(len(live), most) <= len(found) < most + ARCHIVE_ENTRIES


def test_what_is_not_public_is_nowhere(whole: Whole) -> None:
    hidden = {token(n) for n in range(len(whole.accepted)) if n % 10 in NEVER_PUBLIC | GONE}
    other = ["/sitemap.xml", "/sitemaps/1.xml", "/feeds.opml", "/zh/", "/en/", "/tw/", "/zh/feeds/"]
    public = {**whole.documents, **{path: whole.client.get(path).data for path in other}}
    found = {path: hidden & set(re.findall(r"No\d{4}", body.decode(), re.IGNORECASE)) for path, body in public.items()}
    assert {path: names for path, names in found.items() if names} == {}
    assert any(token(2).lower() in body.decode() for body in public.values()), "what is public is found this way"
