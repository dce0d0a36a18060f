"""What feedgen 1.0.0 gets wrong or leaves out, mended where it lets us: in an extension.

feedgen gives the plain elements; links, languages and times of day are written here. Its Atom elements
have no namespace (``xmlns`` is set as if it were an attribute), so those made here have none either.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import feedgen.entry
import feedgen.feed
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from lxml.etree import ProcessingInstruction, SubElement, _Element

from service.formats.notation import FORMATS, document_url, rfc822, rfc3339
from service.model import Entry, Feed, Related

_ATOM_LINK = "link"
_RSS_ATOM_LINK = "{http://www.w3.org/2005/Atom}link"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_HISTORY = "http://purl.org/syndication/history/1.0"
_TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"

# feedgen's own sets the locale of the whole process to C and back for each date: two threads at it leave
# the process in the wrong locale for good. Both modules imported it by name, so both are given ours.
feedgen.feed.formatRFC2822 = feedgen.entry.formatRFC2822 = rfc822


class FeedExtension(BaseExtension):
    """What belongs to the feed beside its page: itself, hub, siblings, archives, and what was withdrawn."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def extend_atom(self, root: _Element) -> _Element:
        # feedgen writes six digits of microseconds, or none.
        root.find("updated").text = rfc3339(self._feed.updated)
        _add_links(root, _ATOM_LINK, _feed_links(self._feed, "atom"))
        _add_links(root, _ATOM_LINK, _history_links(self._feed))
        if self._feed.current:
            SubElement(root, f"{{{_HISTORY}}}archive", nsmap={"fh": _HISTORY})
        _add_tombstones(root, self._feed)
        _add_style(root, self._feed)
        return root

    def extend_rss(self, root: _Element) -> _Element:
        channel = root.find("channel")
        _add_links(channel, _RSS_ATOM_LINK, _feed_links(self._feed, "rss"))
        # The style knows by this in which language to say what a feed is.
        root.set(_XML_LANG, self._feed.language)
        _add_style(root, self._feed)
        return root


class EntryExtension(BaseEntryExtension):
    """An entry's language, its exact times, and the same release's pages in other languages."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def extend_atom(self, element: _Element) -> _Element:
        element.set(_XML_LANG, self._entry.language)
        element.find("updated").text = rfc3339(self._entry.updated)
        element.find("published").text = rfc3339(self._entry.published)
        # feedgen keeps nothing of an entry's link but its href.
        element.find(_ATOM_LINK).attrib.update(page_link("alternate", self._entry.language))
        _add_links(element, _ATOM_LINK, _entry_links(self._entry))
        _add_links(element, _ATOM_LINK, _enclosures(self._entry))
        return element

    def extend_rss(self, element: _Element) -> _Element:
        element.set(_XML_LANG, self._entry.language)
        _add_links(element, _RSS_ATOM_LINK, _entry_links(self._entry))
        return element


def page_link(rel: str, language: str) -> dict[str, str]:
    """The attributes of a link to an HTML page (RFC 4287 section 4.2.7), all but its ``href``."""
    return {"rel": rel, "type": "text/html", "hreflang": language}


def _entry_links(entry: Entry) -> Iterator[dict[str, str]]:
    # Never a second rel="alternate": readers take the last one, or the first, whatever its language.
    for related in entry.related:
        yield page_link("related", related.language) | {"href": related.url}


def _enclosures(entry: Entry) -> Iterator[dict[str, str]]:
    """RFC 4287 section 4.2.7.2; a length is a hint, so it may be missing."""
    for medium in entry.media:
        link = {"rel": "enclosure", "type": medium.type, "href": medium.url}
        title = medium.title or medium.alt
        length = str(medium.byte_length) if medium.byte_length else None
        yield link | {name: value for name, value in (("length", length), ("title", title)) if value}


def _feed_links(feed: Feed, format: str) -> Iterator[dict[str, str]]:
    # WebSub section 4: the hub and the self URL, which is the topic, are told in every format.
    yield {"rel": "self", "type": FORMATS[format], "href": document_url(feed.address, format)}
    if feed.hub_url is not None:
        yield {"rel": "hub", "href": feed.hub_url}
    yield from (_sibling_link(sibling, format) for sibling in feed.related)


def _history_links(feed: Feed) -> Iterator[dict[str, str]]:
    """RFC 5005 section 4."""
    older = {"prev-archive": feed.prev_archive, "current": feed.current}
    for rel, address in older.items():
        if address is not None:
            yield {"rel": rel, "type": FORMATS["atom"], "href": document_url(address, "atom")}


def _add_tombstones(root: _Element, feed: Feed) -> None:
    """RFC 6721 section 3."""
    for tombstone in feed.tombstones:
        attributes = {"ref": tombstone.ref, "when": rfc3339(tombstone.when)}
        element = SubElement(root, f"{{{_TOMBSTONES}}}deleted-entry", attributes, nsmap={"at": _TOMBSTONES})
        if tombstone.comment:
            SubElement(element, f"{{{_TOMBSTONES}}}comment", {_XML_LANG: tombstone.language}).text = tombstone.comment
        # RFC 5829 section 3.4. No reader takes it for a link of the feed's own, as it might a "related".
        pages = (page_link("successor-version", page.language) | {"href": page.url} for page in tombstone.successors)
        _add_links(element, _ATOM_LINK, pages)


def _add_style(root: _Element, feed: Feed) -> None:
    """W3C xml-stylesheet: what a browser shows the feed by."""
    if feed.style_url is not None:
        root.addprevious(ProcessingInstruction("xml-stylesheet", f'type="text/css" href="{escape(feed.style_url)}"'))


def _sibling_link(sibling: Related, format: str) -> dict[str, str]:
    return {
        "rel": "related",
        "type": FORMATS[format],
        "hreflang": sibling.language,
        "href": document_url(sibling.url, format),
    }


def _add_links(parent: _Element, tag: str, links: Iterator[dict[str, str]]) -> None:
    for attributes in links:
        SubElement(parent, tag, attributes)
