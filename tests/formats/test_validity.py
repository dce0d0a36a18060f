"""What the W3C feed validator complains of, and what the JSON Feed 1.1 specification asks."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lxml import etree

from service.formats import FORMATS, render
from service.model import Feed
from tests.formats.sample import PATHS

ATOM = "{http://www.w3.org/2005/Atom}"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
RFC822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000")


def document(feed: Feed) -> dict:
    return json.loads(render(feed, "json"))


def ids(feed: Feed, format: str) -> list[str]:
    if format == "json":
        return [item["id"] for item in document(feed)["items"]]
    path = {"atom": f"{ATOM}entry/{ATOM}id", "rss": "channel/item/guid"}[format]
    return [element.text for element in etree.fromstring(render(feed, format)).findall(path)]


def test_atom_feeds_and_entries_have_each_required_element_once_and_one_alternate(feed: Feed) -> None:
    root = etree.fromstring(render(feed, "atom"))
    for element in [root, *root.findall(f"{ATOM}entry")]:
        tags = Counter(child.tag for child in element)
        assert [tags[f"{ATOM}{name}"] for name in ("id", "title", "updated")] == [1, 1, 1]
        rels = Counter(link.get("rel", "alternate") for link in element.findall(f"{ATOM}link"))
        assert rels["alternate"] == 1
    assert root.findtext(f"{ATOM}author/{ATOM}name") == feed.author_name


def test_ids_are_distinct_per_language_and_the_same_over_formats(feeds: dict[str, Feed]) -> None:
    per_language = [{tuple(ids(feeds[language], format)) for format in FORMATS} for language in PATHS]
    assert [len(variants) for variants in per_language] == [1, 1]
    every = [id for [variant] in per_language for id in variant]
    assert len(every) == len(set(every)) == 6


def test_rss_guids_are_no_permalinks_and_nothing_in_the_channel_stands_twice(feed: Feed) -> None:
    channel = etree.fromstring(render(feed, "rss")).find("channel")
    assert {guid.get("isPermaLink") for guid in channel.iter("guid")} == {"false"}
    for element in [channel, *channel.iter("item")]:
        many = ("item", f"{ATOM}link", "category", "{http://search.yahoo.com/mrss/}content")
        tags = Counter(child.tag for child in element if child.tag not in many)
        assert set(tags.values()) == {1}
    assert (channel.findtext("ttl"), channel.find("image")) == ("1", None)


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_every_date_is_in_the_form_of_its_format(feed: Feed, format: str) -> None:
    names, form = {
        "atom": ((f"{ATOM}updated", f"{ATOM}published"), RFC3339),
        "rss": (("lastBuildDate", "pubDate"), RFC822),
    }[format]
    dates = [element.text for element in etree.fromstring(render(feed, format)).iter(*names)]
    assert len(dates) >= 4 and all(form.fullmatch(date) for date in dates)


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_every_link_is_absolute(feed: Feed, format: str) -> None:
    root = etree.fromstring(render(feed, format))
    urls = [link.get("href", link.text) for link in root.iter(f"{ATOM}link", "link")]
    assert len(urls) >= 8 and all(url.startswith("https://") for url in urls)


def test_categories_are_told_by_their_labels(feed: Feed) -> None:
    label = feed.entries[0].categories[0].label
    atom, rss = (etree.fromstring(render(feed, format)) for format in ("atom", "rss"))
    assert dict(atom.find(f"{ATOM}entry/{ATOM}category").attrib) == {"term": "cooperation", "label": label}
    assert rss.findtext("channel/item/category") == document(feed)["items"][0]["tags"][0] == label


def test_the_icon_and_subtitle_are_told(feed: Feed) -> None:
    atom = etree.fromstring(render(feed, "atom"))
    assert atom.findtext(f"{ATOM}icon") == document(feed)["icon"] == feed.icon_url
    assert atom.findtext(f"{ATOM}subtitle") == document(feed)["description"] == feed.subtitle


def test_json_feed_has_its_members_and_unescaped_text(feed: Feed) -> None:
    told = document(feed)
    assert told["version"] == "https://jsonfeed.org/version/1.1"
    assert (told["feed_url"], told["home_page_url"]) == (f"{feed.address}.json", feed.page_url)
    assert told["hubs"] == [{"type": "WebSub", "url": feed.hub_url}]
    assert told["authors"][0]["name"] == told["items"][0]["authors"][0]["name"] == feed.author_name
    assert {told["language"], *(item["language"] for item in told["items"])} == {feed.language}
    assert feed.title.encode() in render(feed, "json")
    for entry, item in zip(feed.entries, told["items"], strict=True):
        assert (item["url"], item["summary"], item["content_html"]) == (
            entry.url,
            entry.summary,
            entry.content_html,
        )
        for name, at in (("date_published", entry.published), ("date_modified", entry.updated)):
            assert RFC3339.fullmatch(item[name]) and datetime.fromisoformat(item[name]) == at


def test_json_feed_names_the_sibling_editions_in_its_extension(feed: Feed) -> None:
    told, [sibling] = document(feed), feed.related
    assert told["_diglot"] == {"related": [{"language": sibling.language, "url": f"{sibling.url}.json"}]}
    [page] = feed.entries[0].related
    assert told["items"][0]["_diglot"] == {"related": [{"language": page.language, "url": page.url}]}


@pytest.mark.parametrize("format", FORMATS)
def test_a_bare_feed_without_options_or_entries_is_rendered(feed: Feed, format: str) -> None:
    bare = replace(
        feed,
        entries=(),
        related=(),
        icon_url=None,
        hub_url=None,
        author_email=None,
        style_url=None,
        updated=datetime(2026, 1, 1, tzinfo=UTC),
    )
    told = render(bare, format)
    assert b"None" not in told and b"null" not in told and b"related" not in told
