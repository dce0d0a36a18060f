"""Each thing that feedgen 1.0.0 gets wrong, held right."""

from __future__ import annotations

import locale
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import setprofile
from typing import Any

import pytest
from lxml import etree

from service.errors import Unrenderable
from service.formats import FORMATS, render, render_all
from service.model import Category, Feed

NS = {
    "a": "http://www.w3.org/2005/Atom",
    "dc": "http://purl.org/dc/elements/1.1/",
    "content": "http://purl.org/rss/1.0/modules/content/",
}
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def parsed(feed: Feed, format: str) -> etree._Element:
    return etree.fromstring(render(feed, format))


def links(element: etree._Element, rel: str) -> list[dict[str, str]]:
    return [dict(link.attrib) for link in element.findall("a:link", NS) if link.get("rel") == rel]


def with_entry(feed: Feed, **changes: Any) -> Feed:
    return replace(feed, entries=(replace(feed.entries[0], **changes), *feed.entries[1:]))


def test_atom_links_keep_all_their_attributes(feed: Feed) -> None:
    for entry, element in zip(feed.entries, parsed(feed, "atom").findall("a:entry", NS), strict=True):
        html = {"type": "text/html"}
        own = {"rel": "alternate", "hreflang": entry.language, "href": entry.url}
        sibling = {"rel": "related", "hreflang": entry.related[0].language, "href": entry.related[0].url}
        found = [link.attrib for link in element.findall("a:link", NS) if link.get("rel") != "enclosure"]
        assert [dict(attributes) for attributes in found] == [own | html, sibling | html]


def test_the_rss_item_s_link_is_the_page_in_its_own_language(feed: Feed) -> None:
    for entry, item in zip(feed.entries, parsed(feed, "rss").iter("item"), strict=True):
        assert [link.text for link in item.findall("link")] == [entry.url]
        assert [link["hreflang"] for link in links(item, "related")] == [entry.related[0].language]


def test_the_rss_channel_s_link_is_the_feed_s_page(feed: Feed) -> None:
    assert [link.text for link in parsed(feed, "rss").findall("channel/link")] == [feed.page_url]


@pytest.mark.parametrize(("format", "path"), [("atom", "."), ("rss", "channel")])
def test_each_format_tells_its_own_self_its_hub_and_its_sibling(feed: Feed, format: str, path: str) -> None:
    root = parsed(feed, format).find(path)
    [self_link], [hub], [sibling] = (links(root, rel) for rel in ("self", "hub", "related"))
    assert self_link["href"] == f"{feed.address}.{format}"
    assert hub["href"] == feed.hub_url
    assert (sibling["href"], sibling["hreflang"]) == (
        f"{feed.related[0].url}.{format}",
        feed.related[0].language,
    )
    assert self_link["type"] == sibling["type"] == FORMATS[format]


@pytest.mark.parametrize("format", FORMATS)
def test_no_hub_is_told_where_there_is_none(feed: Feed, format: str) -> None:
    assert b"hub" not in render(replace(feed, hub_url=None), format)


def test_content_is_declared_as_html_and_the_summary_as_text(feed: Feed) -> None:
    for entry, element in zip(feed.entries, parsed(feed, "atom").findall("a:entry", NS), strict=True):
        content, summary = element.find("a:content", NS), element.find("a:summary", NS)
        assert (content.get("type"), content.text) == ("html", entry.content_html)
        assert (summary.get("type"), summary.text) == ("text", entry.summary)


@pytest.mark.parametrize("email", [None, "desk@press.example"])
def test_the_byline_reaches_rss_with_an_address_and_without(feed: Feed, email: str | None) -> None:
    channel = parsed(replace(feed, author_email=email), "rss").find("channel")
    editor, creator = channel.findtext("managingEditor"), channel.findtext("dc:creator", namespaces=NS)
    expected = (None, feed.author_name) if email is None else (f"{email} ({feed.author_name})", None)
    assert (editor, creator) == expected
    for item in channel.iter("item"):
        assert [name.text for name in item.findall("dc:creator", NS)] == [feed.author_name]
        assert item.find("author") is None


class AnyDatetime(type):
    """Lets feedgen, which looks its ``datetime`` up by name, still know a real one when it sees it."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Later(datetime, metaclass=AnyDatetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2031, 5, 5, tzinfo=tz)


@pytest.mark.parametrize("format", FORMATS)
def test_no_time_comes_from_the_clock(feed: Feed, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(feed, format)
    monkeypatch.setattr("feedgen.feed.datetime", Later)
    monkeypatch.setattr("feedgen.entry.datetime", Later)
    monkeypatch.setattr(time, "time", lambda: 1_935_705_600.0)
    assert render(feed, format) == before


def test_no_thread_that_renders_touches_the_process_locale(feed: Feed) -> None:
    touched: list[str] = []

    def watch(_frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ == "setlocale":
            touched.append(event)

    before = locale.setlocale(locale.LC_ALL)
    setprofile(watch)
    try:
        with ThreadPoolExecutor(5) as pool:
            documents = set(pool.map(lambda _: render(feed, "rss"), range(20)))
    finally:
        setprofile(None)
        assert sys.getprofile() is None
    assert (touched, locale.setlocale(locale.LC_ALL)) == ([], before)
    assert documents == {render(feed, "rss")}


@pytest.mark.parametrize(("format", "path"), [("atom", "a:entry/a:id"), ("rss", "channel/item/guid")])
def test_entries_stay_in_the_order_given(feed: Feed, format: str, path: str) -> None:
    ids = [element.text for element in parsed(feed, format).findall(path, NS)]
    assert ids == [entry.id for entry in feed.entries]


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\ufffe", "\uffff", "\ud800"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_character_outside_xml_names_its_entry_in_every_format(feed: Feed, format: str, bad: str) -> None:
    with pytest.raises(Unrenderable) as caught:
        render(with_entry(feed, content_html=f"<p>{bad}</p>"), format)
    assert caught.value.params["entry_id"] == feed.entries[0].id


def test_all_formats_at_once_are_what_each_is_alone_and_refuse_the_same(feed: Feed) -> None:
    assert render_all(feed) == {format: render(feed, format) for format in FORMATS}
    with pytest.raises(Unrenderable):
        render_all(with_entry(feed, categories=(Category("visits", "\ufffe"),)))


@pytest.mark.parametrize("url", ["https://press.example/新闻", "/en/releases/x", "javascript:alert(1)", "https://a b"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_link_that_is_no_absolute_ascii_web_address_is_refused(feed: Feed, format: str, url: str) -> None:
    with pytest.raises(Unrenderable):
        render(with_entry(feed, url=url), format)
    for member in ("page_url", "address", "icon_url", "hub_url", "style_url"):
        with pytest.raises(ValueError, match="not an absolute ASCII"):
            render(replace(feed, **{member: url}), format)


def test_entries_tell_their_language(feed: Feed) -> None:
    atom, rss = parsed(feed, "atom"), parsed(feed, "rss")
    assert atom.get(LANG) == rss.findtext("channel/language") == feed.language
    elements = [*atom.findall("a:entry", NS), *rss.iter("item")]
    assert [element.get(LANG) for element in elements] == 2 * [entry.language for entry in feed.entries]


def test_an_rss_description_is_html_of_the_plain_summary_and_comes_before_the_content(feed: Feed) -> None:
    for item in parsed(feed, "rss").iter("item"):
        tags = [child.tag for child in item]
        assert tags.index("description") < tags.index(f"{{{NS['content']}}}encoded")
        assert "3 &lt; 5" in item.findtext("description") and "&amp;" in item.findtext("description")
        assert "<strong>" in item.findtext("content:encoded", namespaces=NS)


def test_times_of_atom_carry_milliseconds_only_where_there_are_any(feed: Feed) -> None:
    published = [e.text for e in parsed(feed, "atom").findall("a:entry/a:published", NS)]
    assert published == ["2026-11-20T01:30:15.250Z", "2026-11-19T01:30:15Z", "2026-11-18T01:30:15.250Z"]


def test_dates_of_rss_are_rfc_822_in_utc(feed: Feed) -> None:
    channel = parsed(feed, "rss").find("channel")
    dates = [channel.findtext("lastBuildDate"), *(item.findtext("pubDate") for item in channel.iter("item"))]
    assert dates[1] == "Fri, 20 Nov 2026 01:30:15 +0000"
    expected = [feed.updated, *(entry.published for entry in feed.entries)]
    assert [parsedate_to_datetime(date) for date in dates] == [at.replace(microsecond=0) for at in expected]


@pytest.mark.parametrize("format", FORMATS)
def test_a_time_without_an_offset_is_refused(feed: Feed, format: str) -> None:
    with pytest.raises(ValueError):
        render(with_entry(feed, updated=datetime(2026, 11, 20)), format)


def test_an_entry_s_years_before_2000_and_single_digit_days_are_written_in_full(feed: Feed) -> None:
    document = parsed(with_entry(feed, published=datetime(1999, 1, 2, tzinfo=UTC)), "rss")
    assert document.findtext("channel/item/pubDate") == "Sat, 02 Jan 1999 00:00:00 +0000"
