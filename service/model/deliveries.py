"""Events, what is owed of them, and every try."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from service.model.access import NO_SECRET, Secret
from service.model.records import record
from service.model.subscriptions import Channel, Format


class DeliveryState(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"
    # A newer event of the same release is owed in its place.
    SUPERSEDED = "superseded"


class EventType(StrEnum):
    RELEASE_PUBLISHED = "release.published"
    RELEASE_CORRECTED = "release.corrected"
    RELEASE_WITHDRAWN = "release.withdrawn"
    # Documents of feeds have changed; of no release.
    FEED_CHANGED = "feed.changed"
    SUBSCRIPTION_TEST = "subscription.test"


class Lane(IntEnum):
    """Where a delivery stands in line, the first lane first; first tries and retries each have room of their own."""

    WITHDRAWAL = 0
    FIRST = 1
    WITHDRAWAL_AGAIN = 2
    AGAIN = 3

    @property
    def is_retry(self) -> bool:
        return self >= Lane.WITHDRAWAL_AGAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a release (or a test ping, which has none) and is owed to partners.

    ``after_revision`` is the one that readers saw before; None where they saw none, or nobody knows.
    """

    id: uuid.UUID
    type: EventType
    created_at: datetime
    release_id: uuid.UUID | None = None
    revision: int | None = None
    after_revision: int | None = None


@record(kw_only=True)
class Attempt:
    """One try of a delivery. ``status`` is the HTTP status, ``error`` a code; one of them is None.

    Headers and body are what `service.exchanges` keeps of them: None where nothing was sent or came, or was asked for,
    and once that has been cleared.
    """

    number: int
    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None
    request_headers: Mapping[str, str] | None = None
    response_headers: Mapping[str, str] | None = None
    response_body: str | None = None
    exchange_cleared_at: datetime | None = None

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
    channel: Channel
    state: DeliveryState
    created_at: datetime
    release_id: uuid.UUID | None = None
    revision: int | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    format: Format = Format.DIGLOT
    languages: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def message_id(self) -> str:
        """Standard Webhooks 1.0.0, `webhook-id`: the same over all attempts."""
        return f"msg_{self.id.hex}"


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


@record(kw_only=True)
class Claim:
    """A worker's hold on a delivery, ``until`` then, with all that sending it needs.

    ``message_id`` is the same over all attempts; ``attempt`` and ``owner`` fence the record. ``host`` is the
    callback's, as `name:port`. Of all attempts, ``tries_before`` don't count: they were made before it
    was last sent anew, or died with their courier. ``failing_since`` is the subscription's.
    """

    delivery_id: uuid.UUID
    subscription_id: uuid.UUID
    owner: str
    attempt: int
    until: datetime
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
