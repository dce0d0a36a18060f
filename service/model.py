"""The frozen records that every layer shares. Times are aware UTC, ids are UUIDv7."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ReleaseState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


class DeliveryState(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"
    DELETED = "deleted"


class EventType(StrEnum):
    RELEASE_PUBLISHED = "release.published"
    SUBSCRIPTION_TEST = "subscription.test"


class Role(StrEnum):
    STAFF = "staff"
    PARTNER = "partner"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """Something in accepted input that staff should look at; it blocks nothing.

    ``pointer`` is a JSON Pointer (RFC 6901) into the request; ``code`` is stable and names
    the sentence in the message catalogue, which ``params`` fill.
    """

    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A release's text in one language, cleaned: no markup but in ``body_html``, XML 1.0 characters only."""

    language: str
    headline: str
    summary: str
    body_text: str
    body_html: str
    dateline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A validated release that is not yet stored. ``editions`` are in the newsroom's language order."""

    editions: tuple[Edition, ...]
    slug: str | None = None
    authoritative_language: str | None = None
    categories: tuple[str, ...] = ()
    contacts: tuple[Mapping[str, str], ...] = ()
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release at one revision. ``published_at`` is None until every edition of it is public."""

    id: uuid.UUID
    slug: str
    revision: int
    state: ReleaseState
    editions: tuple[Edition, ...]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    authoritative_language: str | None = None
    categories: tuple[str, ...] = ()
    contacts: tuple[Mapping[str, str], ...] = ()
    warnings: tuple[Warning, ...] = ()
    set_aside_at: datetime | None = None

    def edition(self, language: str) -> Edition | None:
        return next((e for e in self.editions if e.language == language), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a release (or a test ping, which has none) and is owed to partners."""

    id: uuid.UUID
    type: EventType
    created_at: datetime
    release_id: uuid.UUID | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A standing order. ``secret`` signs its pushes, is shown once, and is empty after the end."""

    id: uuid.UUID
    partner: str
    channel: str
    callback: str
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    secret: str = field(repr=False)
    state: SubscriptionState
    created_at: datetime
    ended_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a delivery. ``status`` is the HTTP status, ``error`` a code; one of them is None."""

    number: int
    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event owed to one subscription."""

    id: uuid.UUID
    event_id: uuid.UUID
    event_type: EventType
    subscription_id: uuid.UUID
    partner: str
    state: DeliveryState
    created_at: datetime
    release_id: uuid.UUID | None = None
    revision: int | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's timed hold on a delivery, with all that sending it needs.

    ``message_id`` is the same over all attempts; ``attempt`` and ``owner`` fence the record.
    """

    delivery_id: uuid.UUID
    subscription_id: uuid.UUID
    owner: str
    attempt: int
    message_id: str
    callback: str
    secret: str = field(repr=False)
    body: bytes = field(repr=False)
    first_due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who calls. ``partner`` names whose subscriptions a partner key may touch."""

    id: uuid.UUID
    name: str
    role: Role
    created_at: datetime
    partner: str | None = None
    revoked_at: datetime | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """RFC 4287 section 4.1.1, one language, newest entry first.

    ``address`` is the self URL less its extension: the Atom document is at ``address + ".atom"``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A rendered feed as it is served. ``etag`` and ``gzip_etag`` are opaque tags without quotes."""

    path: str
    media_type: str
    body: bytes = field(repr=False)
    gzip_body: bytes = field(repr=False)
    etag: str
    gzip_etag: str
    last_modified: datetime
