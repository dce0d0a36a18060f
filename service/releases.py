"""Releases: accept them, publish drafts, look them up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from service.clock import new_id
from service.errors import Conflict, Fault, IdempotencyKeyReused, Invalid, NotFound
from service.model import ApiKey, Draft, Event, EventType, Release, ReleaseState
from service.slugs import extend_slug, make_slug
from service.storage import Storage, Transaction, events, releases


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's Idempotency-Key and the SHA-256 of the body that came with it, in hex."""

    caller: ApiKey
    key: str
    digest: str


class NotDraft(Conflict):
    """Only a draft can be published. ``state`` is what the release is."""

    code = "not_draft"


def accept_release(
    storage: Storage, draft: Draft, state: ReleaseState, now: datetime, idempotency: Idempotency | None = None
) -> Release:
    """Keep a release, with the event that publishes it unless it is a draft, all in one transaction.

    The same idempotency key and digest answer the release that they first made. Raises
    IdempotencyKeyReused for another digest, Invalid where a given slug is taken.
    """
    with storage.write() as tx:
        if idempotency and (known := _find_repeated(tx, idempotency)):
            return known
        release = _new_release(tx, draft, state, now)
        releases.insert_release(tx, release)
        if state is ReleaseState.PUBLISHED:
            events.insert_event(tx, _publication(release, now))
        if idempotency:
            releases.keep_idempotent(
                tx, idempotency.caller.id, idempotency.key, idempotency.digest, release.id, now
            )
    return release


def publish_draft(storage: Storage, release_id: uuid.UUID, now: datetime) -> Release:
    """Raises NotFound, or NotDraft where the release is public already."""
    with storage.write() as tx:
        if not releases.set_state(tx, release_id, ReleaseState.PUBLISHED, was=ReleaseState.DRAFT):
            raise NotDraft(state=_get(tx, release_id).state.value)
        release = _get(tx, release_id)
        events.insert_event(tx, _publication(release, now))
    return release


def get_release(storage: Storage, release_id: uuid.UUID) -> Release:
    """The release at its newest revision. Raises NotFound."""
    with storage.read() as tx:
        return _get(tx, release_id)


def _get(tx: Transaction, release_id: uuid.UUID) -> Release:
    release = releases.find_release(tx, release_id)
    if release is None:
        raise NotFound(kind="release", id=str(release_id))
    return release


def _find_repeated(tx: Transaction, idempotency: Idempotency) -> Release | None:
    found = releases.find_idempotent(tx, idempotency.caller.id, idempotency.key)
    if found is None:
        return None
    digest, release_id = found
    if digest != idempotency.digest:
        raise IdempotencyKeyReused()
    return _get(tx, release_id)


def _new_release(tx: Transaction, draft: Draft, state: ReleaseState, now: datetime) -> Release:
    release_id = new_id()
    return Release(
        id=release_id, slug=_free_slug(tx, draft, release_id), revision=1, state=state,
        editions=draft.editions, created_at=now, updated_at=now,
        authoritative_language=draft.authoritative_language, categories=draft.categories,
        contacts=draft.contacts, media=draft.media, warnings=draft.warnings,
    )


def _free_slug(tx: Transaction, draft: Draft, release_id: uuid.UUID) -> str:
    if draft.slug:
        if releases.is_slug_taken(tx, draft.slug):
            raise Invalid([Fault(pointer="/slug", code="slug_taken", params={"slug": draft.slug})])
        return draft.slug
    slug = make_slug(draft, release_id)
    return extend_slug(slug, release_id) if releases.is_slug_taken(tx, slug) else slug


def _publication(release: Release, now: datetime) -> Event:
    return Event(
        id=new_id(), type=EventType.RELEASE_PUBLISHED, created_at=now,
        release_id=release.id, revision=release.revision,
    )
