"""Standing orders, what WebSub subscribers are said to want, and what owners are told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.model.access import NO_SECRET, Secret


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


# What hasn't ended; a paused one may be resumed.
STANDING = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


@dataclass(frozen=True, slots=True)
class Order:
    """What decides whether a subscription is owed a release, and what it is sent: the same for very many."""

    languages: tuple[str, ...]
    categories: tuple[str, ...]
    format: Format
    language_choice: LanguageChoice


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription that hasn't ended, as planning sees it. ``host`` is the callback's, as `name:port`."""

    id: uuid.UUID
    host: str
    is_paused: bool
    order: Order


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
    def order(self) -> Order:
        return Order(self.languages, self.categories, self.format, self.language_choice)

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


class NoticeType(StrEnum):
    PAUSED = "subscription.paused"
    RESUMED = "subscription.resumed"
    # By the receiver's own answer, which may have been a mistake.
    ENDED = "subscription.ended"
    ABANDONED = "delivery.abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What befell a ``subscription``, or a delivery to it, for its owner to be told.

    ``status`` or ``error`` is that of the attempt after which it did. ``attempt`` counts the tries to tell, and fences
    the record of what came of each; ``sent_at`` is when one succeeded. A delivery that was given up is named by
    ``delivery_id``, its ``event`` and ``release_id``.
    """

    id: uuid.UUID
    type: NoticeType
    subscription: Subscription
    created_at: datetime
    attempt: int
    status: int | None = None
    error: str | None = None
    sent_at: datetime | None = None
    delivery_id: uuid.UUID | None = None
    event: str | None = None
    release_id: uuid.UUID | None = None
