"""JSON Feed 1.1, with one extension of ours.

``_diglot`` (a name as "Extensions" in JSON Feed 1.1 wants it: an underscore, a letter, no dot) holds
``related``, a list of ``{"language": BCP 47 tag, "url": address}``: at the top the same feed in other
languages, each as JSON Feed, and in an item the page of the same release in other languages. It is absent
where there are none. In an attachment it holds ``alt``, ``credit``, ``width`` and ``height``, each where it is
known. Readers that don't know it lose nothing but the way to the other language and these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from service.formats.notation import document_url, rfc3339
from service.model import Entry, Feed, Medium

_VERSION = "https://jsonfeed.org/version/1.1"


def render_json(feed: Feed) -> bytes:
    document = _top_level(feed) | {"items": [_item(feed, entry) for entry in feed.entries]}
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _top_level(feed: Feed) -> dict[str, Any]:
    siblings = ((sibling.language, document_url(sibling.url, "json")) for sibling in feed.related)
    members = {
        "version": _VERSION,
        "title": feed.title,
        "home_page_url": feed.page_url,
        "feed_url": document_url(feed.address, "json"),
        "next_url": document_url(feed.prev_archive, "json") if feed.prev_archive else None,
        "description": feed.subtitle,
        "icon": feed.icon_url,
        "authors": _authors(feed),
        "language": feed.language,
        # The topic that a subscriber names to the hub is feed_url.
        "hubs": [{"type": "WebSub", "url": feed.hub_url}] if feed.hub_url else None,
        "_diglot": _related(siblings),
    }
    return _present(members)


def _item(feed: Feed, entry: Entry) -> dict[str, Any]:
    members = {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "content_html": entry.content_html,
        "summary": entry.summary,
        "date_published": rfc3339(entry.published),
        "date_modified": rfc3339(entry.updated),
        # Said again in each item, for not every reader inherits it from the top.
        "authors": _authors(feed),
        "tags": [category.label for category in entry.categories] or None,
        "language": entry.language,
        "image": next((medium.url for medium in entry.media if medium.is_image), None),
        "attachments": [_attachment(medium, entry) for medium in entry.media] or None,
        "_diglot": _related((related.language, related.url) for related in entry.related),
    }
    return _present(members)


def _attachment(medium: Medium, entry: Entry) -> dict[str, Any]:
    # Two attachments with one title count as two forms of the same thing.
    is_alone = [other.title for other in entry.media].count(medium.title) == 1
    extension = _present(
        {"alt": medium.alt, "credit": medium.credit, "width": medium.width, "height": medium.height}
    )
    members = {
        "url": medium.url,
        "mime_type": medium.type,
        "title": medium.title if is_alone else None,
        "size_in_bytes": medium.byte_length,
        "_diglot": extension or None,
    }
    return _present(members)


def _authors(feed: Feed) -> list[dict[str, str]]:
    author = {"name": feed.author_name}
    if feed.author_email is not None:
        author["url"] = f"mailto:{feed.author_email}"
    return [author]


def _related(pairs: Iterable[tuple[str, str]]) -> dict[str, Any] | None:
    related = [{"language": language, "url": url} for language, url in pairs]
    return {"related": related} if related else None


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
