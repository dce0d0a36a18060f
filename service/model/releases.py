"""The unit that staff post, its editions and its life."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ReleaseState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


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
    """Why a release was taken back, by language tag, and the release that stands in its place, if one does.

    That one's slug and languages are as they were then or, where partners are told, as they are.
    """

    reason: Mapping[str, str]
    superseded_by: uuid.UUID | None = None
    successor_slug: str | None = None
    successor_languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release at one revision.

    ``state`` is what was accepted; what readers see follows a moment later. For them the release exists from
    ``published_at``, at ``public_revision``, and its text is gone from ``withdrawn_at``. ``position`` counts
    releases in the order in which they first went public, from 1. ``unaffected`` are the languages of which
    staff said that this correction doesn't concern them. ``modified_at`` is the second of the last change that
    readers could see; ``edition_updates`` are the editions that were already then what they are now, and since when.
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
    edition_updates: Mapping[str, datetime] = field(default_factory=dict)
    # Where partners are told: of the revisions that went public together with this one, the oldest first.
    earlier_notes: tuple[Mapping[str, str], ...] = ()

    def updated_in(self, language: str) -> datetime:
        """When readers of one edition last saw it change (RFC 4287 section 4.2.15): another's correction is none."""
        return self.edition_updates.get(language, self.updated_at)

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
    """Who did what to which release, and when. ``key_id`` is None where the service acted by itself.

    What befalls a subscription concerns no release.
    """

    id: uuid.UUID
    at: datetime
    action: str
    release_id: uuid.UUID | None
    revision: int | None
    actor: str
    key_id: uuid.UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
