"""What real readers make of the documents, fetched over loopback."""

from __future__ import annotations

from itertools import chain

import feedparser
import pytest
from reader import make_reader

from service.formats import FORMATS, render
from service.model import Feed
from tests.formats.conftest import serving
from tests.formats.sample import PATHS, make_archive


@pytest.mark.parametrize("format", ["atom", "rss"])
@pytest.mark.parametrize("language", PATHS)
def test_feedparser_finds_the_right_page_language_id_and_text(
    served: str, feeds: dict[str, Feed], language: str, format: str
) -> None:
    feed, read = feeds[language], feedparser.parse(f"{served}/{PATHS[language]}.{format}")
    assert not read.bozo
    assert (read.feed.language, read.feed.link, read.feed.title) == (feed.language, feed.page_url, feed.title)
    for entry, found in zip(feed.entries, read.entries, strict=True):
        assert (found.link, found.id, found.title) == (entry.url, entry.id, entry.title)
        assert found.title_detail.language == found.content[0].language == entry.language
        assert [tag.label or tag.term for tag in found.get("tags", [])] == [c.label for c in entry.categories]
        assert found.content[0].value == entry.content_html


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("language", PATHS)
def test_reader_finds_the_right_page_language_id_and_times(
    served: str, feeds: dict[str, Feed], language: str, format: str
) -> None:
    feed, url = feeds[language], f"{served}/{PATHS[language]}.{format}"
    with make_reader(":memory:") as reader:
        reader.add_feed(url)
        reader.update_feed(url)
        read = reader.get_feed(url)
        found = {entry.id: entry for entry in reader.get_entries()}
    assert (read.link, read.title, read.subtitle) == (feed.page_url, feed.title, feed.subtitle)
    assert found.keys() == {entry.id for entry in feed.entries}
    for entry in feed.entries:
        assert (found[entry.id].link, found[entry.id].title) == (entry.url, entry.title)
        assert found[entry.id].published.replace(microsecond=0) == entry.published.replace(microsecond=0)
        assert {content.language for content in found[entry.id].content} == {entry.language}


@pytest.mark.parametrize("language", PATHS)
def test_what_a_tombstone_leads_to_is_no_page_of_the_feed_or_of_an_entry(language: str) -> None:
    """Both readers give links in an element that they don't know to the feed."""
    archive = make_archive(language)
    successor = archive.tombstones[0].successors[0].url
    with serving({"/archive.atom": render(archive, "atom")}) as base_url, make_reader(":memory:") as reader:
        url = f"{base_url}/archive.atom"
        read = feedparser.parse(url)
        reader.add_feed(url)
        reader.update_feed(url)
        feed, found = reader.get_feed(url), {entry.id: entry.link for entry in reader.get_entries()}
    assert not read.bozo
    assert (read.feed.link, read.feed.subtitle) == (feed.link, feed.subtitle) == (archive.page_url, archive.subtitle)
    assert {link.rel for link in read.feed.links if link.href == successor} <= {"successor-version"}
    assert found == {entry.id: entry.url for entry in archive.entries} == {e.id: e.link for e in read.entries}


@pytest.mark.parametrize("format", FORMATS)
def test_a_reader_of_both_languages_keeps_every_entry_of_both(served: str, feeds: dict[str, Feed], format: str) -> None:
    with make_reader(":memory:") as reader:
        for path in PATHS.values():
            reader.add_feed(f"{served}/{path}.{format}")
        reader.update_feeds()
        links = {entry.link for entry in reader.get_entries()}
    assert links == {entry.url for entry in chain.from_iterable(feed.entries for feed in feeds.values())}
