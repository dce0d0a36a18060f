"""What every format needs of a feed, asked once, so that no format carries what another refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

from service.errors import Unrenderable
from service.model import Entry, Feed

# XML 1.0 section 2.2, production [2] Char, turned round.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# RSS knows URIs (RFC 3986) and no IRIs; readers resolve relative links each in their own way.
_ABSOLUTE_URL = re.compile(r"https?://[!-~]+")


def require_renderable(feed: Feed) -> None:
    """Refuse text outside XML 1.0 and links that are not absolute ASCII http(s) URLs.

    Raises Unrenderable with ``entry_id`` for the first entry at fault, ValueError for the feed itself.
    """
    _require_text(replace(feed, entries=()))
    _require_links(*_feed_links(feed))
    for entry in feed.entries:
        try:
            _require_text(entry)
            _require_links(entry.url, *(related.url for related in entry.related))
            _require_links(*(medium.url for medium in entry.media))
        except ValueError as fault:
            raise Unrenderable(entry_id=entry.id, reason=str(fault)) from fault


def _require_text(record: Feed | Entry) -> None:
    for text in _strings(record):
        if found := _NOT_XML.search(text):
            raise ValueError(f"U+{ord(found.group()):04X} at {found.start()} is no character of XML 1.0")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _strings(part)
    elif is_dataclass(value):
        # dataclasses.astuple() would copy every time and tuple in depth, which took longer than rendering.
        for part in fields(value):
            yield from _strings(getattr(value, part.name))


def _feed_links(feed: Feed) -> Iterator[str]:
    yield from (feed.address, feed.page_url)
    optional = (feed.hub_url, feed.icon_url, feed.prev_archive, feed.current, feed.style_url)
    yield from (url for url in optional if url is not None)
    yield from (related.url for related in feed.related)


def _require_links(*urls: str) -> None:
    for url in urls:
        if not _ABSOLUTE_URL.fullmatch(url):
            raise ValueError(f"not an absolute ASCII http(s) URL: {url!a}")
