"""The frozen records that every layer shares. Times are aware UTC, ids are UUIDv7."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any


class ReleaseState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class DeliveryState(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"
    # A newer event of the same release is owed in its place.
    SUPERSEDED = "superseded"


class Lane(IntEnum):
    """Where a delivery stands in line, the first lane first; first tries and retries each have room of their own."""

    WITHDRAWAL = 0
    FIRST = 1
    WITHDRAWAL_AGAIN = 2
    AGAIN = 3

    @property
    def is_retry(self) -> bool:
        return self >= Lane.WITHDRAWAL_AGAIN


class Channel(StrEnum):
    WEBHOOK = "webhook"
    WEBSUB = "websub"
    WORDPRESS = "wordpress"
    EMAIL = "email"


class Format(StrEnum):
    """What a webhook is sent."""

    DIGLOT = "diglot"
    NINJS = "ninjs"
    ATOM = "atom"


class LanguageChoice(StrEnum):
    """Which of the ordered languages are sent: all that a release has, or the first of them that it has."""

    ALL = "all"
    FIRST_AVAILABLE = "first_available"


class Signature(StrEnum):
    """Of Standard Webhooks 1.0.0."""

    HMAC = "v1"
    ED25519 = "v1a"


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    # Nothing is sent until it is resumed; what it is owed is kept.
    PAUSED = "paused"
    ENDED = "ended"
    DELETED = "deleted"


class EventType(StrEnum):
    RELEASE_PUBLISHED = "release.published"
    RELEASE_CORRECTED = "release.corrected"
    RELEASE_WITHDRAWN = "release.withdrawn"
    # Documents of feeds have changed; of no release.
    FEED_CHANGED = "feed.changed"
    SUBSCRIPTION_TEST = "subscription.test"


class Role(StrEnum):
    STAFF = "staff"
    PARTNER = "partner"
    ADMIN = "admin"


class Secret:
    """A text that `reveal` alone shows: no repr, log or JSON does. ``open_`` turns what is ``kept`` into the text."""

    __slots__ = ("_open", "kept")

    def __init__(self, kept: str, open_: Callable[[str], str] = str) -> None:
        self.kept, self._open = kept, open_

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.kept == other.kept

    def __hash__(self) -> int:
        return hash(self.kept)

    def reveal(self) -> str:
        """Raises SecretUnreadable if it is sealed by a key that we don't have."""
        return self._open(self.kept)


NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """Something in accepted input that staff should look at; it blocks nothing.

    ``pointer`` is a JSON Pointer (RFC 6901) into the request; ``code`` is stable and names
    the sentence in the message catalogue, which ``params`` fill. ``suggestion`` is the whole field
    as it might be written instead.
    """

    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    suggestion: str | None = None


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
class StoredMedium:
    """An uploaded file, as it is served: ``digest`` is the SHA-256 of its bytes, ``name`` what its sender calls it.

    ``width`` and ``height`` are known of images alone.
    """

    id: uuid.UUID
    file_name: str
    digest: str
    type: str
    byte_length: int
    created_at: datetime
    width: int | None = None
    height: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMedium:
    """A picture, recording or file of a release. ``title``, ``alt`` and ``credit`` are by language tag.

    ``url`` is absolute, or the path of an uploaded file, which then ``media_id`` names: the newsroom's own
    address may change.
    """

    url: str
    type: str
    media_id: uuid.UUID | None = None
    byte_length: int | None = None
    width: int | None = None
    height: int | None = None
    name: str | None = None
    title: Mapping[str, str] = field(default_factory=dict)
    alt: Mapping[str, str] = field(default_factory=dict)
    credit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A validated release that is not yet stored. ``editions`` are in the newsroom's language order."""

    editions: tuple[Edition, ...]
    slug: str | None = None
    authoritative_language: str | None = None
    categories: tuple[str, ...] = ()
    contacts: tuple[Mapping[str, str], ...] = ()
    media: tuple[ReleaseMedium, ...] = ()
    warnings: tuple[Warning, ...] = ()
    change_note: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Why a release was taken back, by language tag, and the release that stands in its place, if one does."""

    reason: Mapping[str, str]
    superseded_by: uuid.UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release at one revision.

    ``state`` is what was accepted; what readers see follows a moment later. For them the release exists from
    ``published_at``, at ``public_revision``, and its text is gone from ``withdrawn_at``. ``position`` counts
    releases in the order in which they first went public, from 1. ``unaffected`` are the languages of which
    staff said that this correction doesn't concern them. ``modified_at`` is the second of the last change that
    readers could see.
    """

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
    media: tuple[ReleaseMedium, ...] = ()
    warnings: tuple[Warning, ...] = ()
    set_aside_at: datetime | None = None
    publish_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawal: Withdrawal | None = None
    change_note: Mapping[str, str] = field(default_factory=dict)
    unaffected: tuple[str, ...] = ()
    public_revision: int | None = None
    position: int | None = None
    modified_at: datetime | None = None

    def edition(self, language: str) -> Edition | None:
        return next((e for e in self.editions if e.language == language), None)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(edition.language for edition in self.editions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One accepted state of a release, and when it was accepted."""

    number: int
    created_at: datetime
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which release, and when. ``key_id`` is None where the service acted by itself."""

    id: uuid.UUID
    at: datetime
    action: str
    release_id: uuid.UUID
    revision: int
    actor: str
    key_id: uuid.UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


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
    """A standing order. ``secret`` signs its pushes, is shown once, and is empty after the end.

    Of WebSub alone: the ``topic`` is a feed, named by its path because the newsroom's own address may change, the
    subscription ends at ``lease_until``, and without a ``secret`` its pushes bear no signature.
    ``former_secrets`` (as `signing.retire_secret` keeps them) sign too, the last until ``overlap_ends_at``.
    With a ``public_key`` the secret is a private one, which is never shown.
    A site's ``secret`` is the password that its partner gave. ``settings`` are what its channel alone asks for.
    ``failing_since`` is the first failure after the last success.
    """

    id: uuid.UUID
    partner: str
    channel: Channel
    callback: str
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    secret: Secret
    state: SubscriptionState
    created_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    ended_reason: str | None = None
    format: Format = Format.DIGLOT
    language_choice: LanguageChoice = LanguageChoice.ALL
    public_key: str | None = None
    former_secrets: Secret = NO_SECRET
    overlap_ends_at: datetime | None = None
    topic: str | None = None
    lease_until: datetime | None = None
    failing_since: datetime | None = None
    paused_at: datetime | None = None

    @property
    def signature(self) -> Signature:
        return Signature.ED25519 if self.public_key else Signature.HMAC


class IntentMode(StrEnum):
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    DENIED = "denied"


class IntentState(StrEnum):
    DUE = "due"
    VERIFIED = "verified"
    FAILED = "failed"
    # The same subscriber has asked for something else meanwhile.
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What somebody says a WebSub subscriber wants, for its callback to confirm; or a denial, to tell it of.

    ``host`` is the callback's server. ``attempt`` and ``owner`` fence the record of what came of asking.
    """

    id: uuid.UUID
    mode: IntentMode
    topic: str
    callback: str
    host: str
    created_at: datetime
    secret: Secret = NO_SECRET
    lease_seconds: int = 0
    reason: str | None = None
    attempt: int = 0
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """That a ``subscription`` was paused, for its owner to be told.

    ``status`` or ``error`` is that of the attempt after which it was. ``attempt`` counts the tries to tell, and fences
    the record of what came of each.
    """

    id: uuid.UUID
    subscription: Subscription
    created_at: datetime
    attempt: int
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a delivery. ``status`` is the HTTP status, ``error`` a code; one of them is None.

    Headers and body are what `service.exchanges` keeps of them: None where nothing was sent or came, or was asked for.
    """

    number: int
    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None
    request_headers: Mapping[str, str] | None = None
    response_headers: Mapping[str, str] | None = None
    response_body: str | None = None

    @property
    def ended_at(self) -> datetime:
        return self.started_at + timedelta(milliseconds=self.duration_ms)


@dataclass(frozen=True, slots=True)
class Variant:
    """What the body of an event depends on: subscriptions with the same one are sent the same bytes."""

    format: Format
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Payload:
    """What is sent, and its media type."""

    media_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event owed to one subscription. ``languages`` are those that it is sent in."""

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
    format: Format = Format.DIGLOT
    languages: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All since a time to one subscription once more. Until it is planned, ``total`` grows.

    ``after_at`` and ``after_id`` are those of the last event that was planned.
    """

    id: uuid.UUID
    subscription_id: uuid.UUID
    since: datetime
    created_at: datetime
    after_at: datetime | None = None
    after_id: uuid.UUID | None = None
    planned_at: datetime | None = None
    finished_at: datetime | None = None
    total: int = 0
    sent: int = 0
    failed: int = 0
    superseded: int = 0

    @property
    def remaining(self) -> int:
        return self.total - self.sent - self.failed - self.superseded


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's timed hold on a delivery, with all that sending it needs.

    ``message_id`` is the same over all attempts; ``attempt`` and ``owner`` fence the record. ``host`` is the
    callback's, as `name:port`. Of all attempts, ``tries_before`` were made before it was last sent anew;
    ``failing_since`` is the subscription's.
    """

    delivery_id: uuid.UUID
    subscription_id: uuid.UUID
    owner: str
    attempt: int
    message_id: str
    channel: Channel
    callback: str
    secret: Secret
    former_secrets: Secret = NO_SECRET
    settings: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = field(repr=False)
    media_type: str = "application/json"
    first_due_at: datetime
    lane: Lane = Lane.FIRST
    host: str = ""
    # Of a feed: what its readers are told with it.
    link: str | None = None
    tries_before: int = 0
    failing_since: datetime | None = None


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
    """RFC 6721: the entry with the id ``ref`` was withdrawn at ``when``."""

    ref: str
    when: datetime


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
