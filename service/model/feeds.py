"""What readers get."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Related:
    """The same thing in another language: an entry's page, or a feed's address without its extension."""

    language: str
    url: str


@dataclass(frozen=True, slots=True)
class Category:
    """``term`` is the stable name, ``label`` the one that readers see in the feed's language."""

    term: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A release's medium as one language's readers meet it: ``url`` is absolute, the texts are in that language."""

    url: str
    type: str
    byte_length: int | None = None
    width: int | None = None
    height: int | None = None
    title: str | None = None
    alt: str | None = None
    credit: str | None = None

    @property
    def is_image(self) -> bool:
        return self.type.startswith("image/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """RFC 4287 section 4.1.2, one edition. ``summary`` is plain text, ``content_html`` sanitised HTML."""

    id: str
    language: str
    title: str
    summary: str
    content_html: str
    url: str
    published: datetime
    updated: datetime
    related: tuple[Related, ...] = ()
    categories: tuple[Category, ...] = ()
    media: tuple[Medium, ...] = ()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """RFC 6721: the entry with the id ``ref`` was withdrawn at ``when``.

    ``comment`` says why, in ``language``; ``successors`` are the pages of what stands in its place.
    """

    ref: str
    when: datetime
    language: str = ""
    comment: str = ""
    successors: tuple[Related, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """RFC 4287 section 4.1.1, one language, newest entry first.

    ``address`` is the self URL less its extension: the Atom document is at ``address + ".atom"``.
    ``prev_archive`` is the address of the next older archive, ``current`` that of the feed which an
    archive belongs to (RFC 5005 section 4); a current feed has none. ``style_url`` is the CSS by which a
    browser shows Atom and RSS.
    """

    id: str
    language: str
    title: str
    subtitle: str
    address: str
    page_url: str
    author_name: str
    updated: datetime
    author_email: str | None = None
    icon_url: str | None = None
    hub_url: str | None = None
    related: tuple[Related, ...] = ()
    entries: tuple[Entry, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    prev_archive: str | None = None
    current: str | None = None
    style_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A rendered feed as it is served. ``etag`` and ``gzip_etag`` are opaque tags without quotes.

    ``link`` is the value of the Link header (RFC 8288) that names the hub and the feed itself.
    """

    path: str
    media_type: str
    body: bytes = field(repr=False)
    gzip_body: bytes = field(repr=False)
    etag: str
    gzip_etag: str
    last_modified: datetime
    link: str | None = None
