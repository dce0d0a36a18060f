"""A release's media in each format, and what readers make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import feedparser
import pytest
from lxml import etree

from service.errors import Unrenderable
from service.formats import FORMATS, render
from service.model import Feed, Medium
from tests.formats.sample import PATHS

NS = {"a": "http://www.w3.org/2005/Atom", "media": "http://search.yahoo.com/mrss/"}


def with_media(feed: Feed, *media: Medium) -> Feed:
    return replace(feed, entries=(replace(feed.entries[0], media=media),))


def first_item(feed: Feed) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(render(feed, "json"))["items"][0]
    return item


def test_atom_names_every_medium_with_its_type_length_and_title(feed: Feed) -> None:
    entry = etree.fromstring(render(feed, "atom")).find("a:entry", NS)
    links = [dict(link.attrib) for link in entry.findall("a:link[@rel='enclosure']", NS)]
    for medium, link in zip(feed.entries[0].media, links, strict=True):
        assert (link["href"], link["type"]) == (medium.url, medium.type)
        assert link.get("length") == (str(medium.byte_length) if medium.byte_length else None)
        assert link.get("title") == medium.title


def test_rss_encloses_the_first_medium_whose_length_is_known_and_no_other(feed: Feed) -> None:
    items = list(etree.fromstring(render(feed, "rss")).iter("item"))
    [enclosure] = items[0].findall("enclosure")
    picture = feed.entries[0].media[1]
    assert dict(enclosure.attrib) == {"url": picture.url, "length": "48213", "type": "image/jpeg"}
    assert not [item for item in items[1:] if item.find("enclosure") is not None]


def test_rss_encloses_nothing_whose_length_nobody_knows(feed: Feed) -> None:
    told = with_media(feed, Medium(url="https://cdn.example/a.jpg", type="image/jpeg"))
    item = etree.fromstring(render(told, "rss")).find("channel/item")
    assert item.find("enclosure") is None
    assert item.find("media:content", NS).get("url") == "https://cdn.example/a.jpg"


def test_media_rss_tells_all_that_is_known_of_each_medium(feed: Feed) -> None:
    item = etree.fromstring(render(feed, "rss")).find("channel/item")
    speech, picture, programme = item.findall("media:content", NS)
    assert [content.get("medium") for content in (speech, picture, programme)] == ["audio", "image", "document"]
    assert [picture.get(name) for name in ("fileSize", "width", "height")] == ["48213", "1600", "1067"]
    medium = feed.entries[0].media[1]
    texts = [picture.findtext(f"media:{name}", namespaces=NS) for name in ("title", "description", "credit")]
    assert texts == [medium.title, medium.alt, medium.credit]
    assert (list(speech), "fileSize" in speech.attrib) == ([], False)


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_a_feed_without_media_declares_no_namespace_for_them(feed: Feed, format: str) -> None:
    assert b"search.yahoo.com" not in render(with_media(feed), format)


def test_json_feed_attaches_every_medium_and_shows_the_first_image(feed: Feed) -> None:
    item, media = first_item(feed), feed.entries[0].media
    assert item["image"] == media[1].url
    assert [(told["url"], told["mime_type"], told.get("size_in_bytes")) for told in item["attachments"]] == [
        (medium.url, medium.type, medium.byte_length) for medium in media
    ]
    assert item["attachments"][1]["_diglot"] == {
        "alt": media[1].alt, "credit": media[1].credit, "width": 1600, "height": 1067,
    }
    assert not {"image", "attachments"} & set(first_item(with_media(feed)))


def test_json_feed_gives_no_title_to_two_media_that_share_it(feed: Feed) -> None:
    """JSON Feed 1.1: one title on two attachments says that they are one thing in two forms."""
    pair = [Medium(url=f"https://cdn.example/{n}.jpg", type="image/jpeg", title="Photo") for n in range(2)]
    alone = Medium(url="https://cdn.example/c.jpg", type="image/jpeg", title="Other")
    titles = [told.get("title") for told in first_item(with_media(feed, *pair, alone))["attachments"]]
    assert titles == [None, None, "Other"]


@pytest.mark.parametrize("url", ["/media/a.jpg", "javascript:alert(1)", "https://cdn.example/图.jpg"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_medium_at_no_absolute_ascii_web_address_is_refused(feed: Feed, format: str, url: str) -> None:
    with pytest.raises(Unrenderable):
        render(with_media(feed, Medium(url=url, type="image/jpeg")), format)


@pytest.mark.parametrize("format", ["atom", "rss"])
@pytest.mark.parametrize("language", PATHS)
def test_feedparser_finds_the_media_and_still_the_page(
    served: str, feeds: dict[str, Feed], language: str, format: str
) -> None:
    entry, found = feeds[language].entries[0], feedparser.parse(f"{served}/{PATHS[language]}.{format}").entries[0]
    assert found.link == entry.url
    picture = next(enclosure for enclosure in found.enclosures if enclosure.type == "image/jpeg")
    assert (picture.href, picture.length) == (entry.media[1].url, "48213")
    if format == "rss":
        assert [content["url"] for content in found.media_content] == [medium.url for medium in entry.media]
