"""IPTC ninjs 3.1: each language is an item of its own; those of a release are associated and share a group id.

The document is the item of the first language. Its ``associations`` hold the items of the others whole, with the
``rel`` "translation", and its media with the ``rel`` "media". Every item has an ``altIds`` entry of the ``role``
"release", the same in all languages and revisions.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any

from service.formats.notation import rfc3339
from service.model import Medium

# IPTC has registered no media type for ninjs.
MEDIA_TYPE = "application/json"
_STANDARD = {
    "name": "ninjs", "version": "3.1", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_3.1.json#",
}
_KINDS = {"image": "picture", "audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsItem:
    """One edition. ``id`` and ``release_id`` are URIs, ``categories`` names by term, ``note`` is for the desk.

    A canceled item has nothing of the text.
    """

    id: str
    release_id: str
    revision: int
    language: str
    slug: str
    published: datetime
    updated: datetime
    publisher: str
    note: str
    page_url: str | None
    successor_url: str | None = None
    categories: Mapping[str, str] = field(default_factory=dict)
    is_canceled: bool = False
    headline: str = ""
    summary: str = ""
    dateline: str | None = None
    text: str = ""
    html: str = ""
    characters: int = 0
    words: int | None = None
    media: tuple[Medium, ...] = ()


def render_items(items: Sequence[NewsItem]) -> bytes:
    """The editions of one release as one document in UTF-8."""
    first, *others = items
    document = {"standard": _STANDARD, **_item(first, [_translation(other) for other in others])}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _translation(item: NewsItem) -> dict[str, Any]:
    return {"name": item.language, "rel": "translation", **_item(item, [])}


def _item(item: NewsItem, others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    associations = [*others, *_media(item)]
    members = {
        "uri": item.id,
        "type": "text",
        "representationType": "full",
        "version": str(item.revision),
        "firstCreated": rfc3339(item.published),
        "versionCreated": rfc3339(item.updated),
        "pubStatus": "canceled" if item.is_canceled else "usable",
        "language": item.language,
        "slugline": item.slug,
        **({} if item.is_canceled else _text(item)),
        "edNote": item.note or None,
        "subjects": [{"name": name, "literal": term, "rel": "about"} for term, name in item.categories.items()] or None,
        "infoSources": [{"name": item.publisher, "role": "publisher"}],
        "renditions": _page(item),
        "altIds": [{"role": "release", "value": item.release_id}],
        "associations": associations or None,
    }
    return _present(members)


def _text(item: NewsItem) -> dict[str, Any]:
    """ninjs has no member for a dateline, so it opens the body, as it does in feeds."""
    html = f"<p>{escape(item.dateline, quote=False)}</p>\n{item.html}" if item.dateline else item.html
    text = f"{item.dateline}\n\n{item.text}" if item.dateline else item.text
    counts = {"charCount": item.characters, "wordCount": item.words}
    return {
        "headlines": [{"contentType": "text/plain", "value": item.headline}],
        "descriptions": [{"role": "summary", "contentType": "text/plain", "value": item.summary}],
        "bodies": [
            {"contentType": "text/html", "value": html},
            _present({"contentType": "text/plain", **counts, "value": text}),
        ],
        "by": item.publisher,
    }


def _page(item: NewsItem) -> list[dict[str, str]] | None:
    """The item's page, and that of what stands in the place of a canceled one."""
    pages = {"web": item.page_url, "successor": item.successor_url}
    return [{"name": name, "href": url, "contentType": "text/html"} for name, url in pages.items() if url] or None


def _media(item: NewsItem) -> Iterator[dict[str, Any]]:
    for number, medium in enumerate(item.media, 1):
        texts = (("title", medium.title), ("alt", medium.alt))
        yield _present({
            "name": f"media-{number}",
            "rel": "media",
            # Theirs is no link, so an item of its own needs a name of its own (ninjs 3.1, "uri").
            "uri": uuid.uuid5(uuid.NAMESPACE_URL, medium.url).urn,
            "type": _KINDS.get(medium.type.partition("/")[0], "component"),
            "language": item.language,
            "descriptions": [{"role": role, "value": words} for role, words in texts if words] or None,
            "by": medium.credit,
            "renditions": [_rendition(medium)],
        })


def _rendition(medium: Medium) -> dict[str, Any]:
    return _present({
        "name": "original", "href": medium.url, "contentType": medium.type,
        "width": medium.width, "height": medium.height, "sizeInBytes": medium.byte_length,
    })


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
