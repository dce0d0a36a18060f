"""Releases: accept, revise, schedule, publish, withdraw. Each is one transaction, with its event and audit entry."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.audit import SERVICE, record
from service.clock import new_id
from service.errors import DiglotError, Fault, IdempotencyKeyReused, Invalid, NotFound
from service.lifecycle import PUBLIC, Move, next_state
from service.model import ApiKey, Draft, Event, EventType, Release, ReleaseState, Withdrawal
from service.siblings import StaleSiblings, find_left_behind
from service.slugs import extend_slug, make_slug
from service.storage import Storage, Transaction, events, idempotency, releases
from service.views import iso

# Scheduled releases that one transaction takes; the rest follow in the next.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's Idempotency-Key and the SHA-256 of the body that came with it, in hex."""

    key: str
    digest: str


class RevisionMismatch(DiglotError):
    """The release is at another revision than the caller expected. ``revision`` is the newest."""

    code = "precondition_failed"


def accept_release(
    storage: Storage, draft: Draft, state: ReleaseState, now: datetime, by: ApiKey, *,
    publish_at: datetime | None = None, repeat: Idempotency | None = None,
) -> Release:
    """Keep a release, with the event that publishes it if it is to be public now, all in one transaction.

    The same idempotency key and digest answer the release that they first made. Raises
    IdempotencyKeyReused for another digest, Invalid where a given slug is taken or `publish_at` is past.
    """
    with storage.write() as tx:
        if repeat and (known := _find_repeated(tx, by, repeat)):
            return known
        _require_future(publish_at, now)
        release = _new_release(tx, draft, state, now, publish_at)
        releases.insert_release(tx, release)
        if state in PUBLIC:
            _owe(tx, release, EventType.RELEASE_PUBLISHED, now)
        record(tx, "accepted", release, now, by, state=state.value)
        if repeat:
            idempotency.keep_idempotent(tx, by.id, repeat.key, repeat.digest, release.id, now)
    return release


def revise_release(
    storage: Storage, release_id: uuid.UUID, draft: Draft, now: datetime, by: ApiKey, *,
    is_expected: Callable[[int], bool], siblings_unaffected: bool = False,
) -> Release:
    """A new immutable revision; of a public release it is a correction, of all its editions at once.

    Nothing is kept where nothing would change. Raises NotFound, RevisionMismatch, IllegalMove, StaleSiblings
    naming the languages that a correction left behind, Invalid where a slug is taken or fixed.
    """
    with storage.write() as tx:
        before = _hold(tx, release_id, is_expected)
        state = next_state(before.state, Move.REVISE)
        left_behind = find_left_behind(before, draft) if before.state in PUBLIC else ()
        if left_behind and not siblings_unaffected:
            raise StaleSiblings(left_behind)
        release = dataclasses.replace(
            before, state=state, revision=before.revision + 1, slug=_revised_slug(tx, before, draft),
            # Of what readers see it is the readers' own, which moves only with the feeds.
            updated_at=before.updated_at if before.published_at else now, editions=draft.editions,
            authoritative_language=draft.authoritative_language, categories=draft.categories, contacts=draft.contacts,
            media=draft.media, warnings=draft.warnings, change_note=draft.change_note, unaffected=left_behind,
        )
        if _says_the_same(release, before):
            return before
        releases.insert_revision(tx, release, now)
        if state in PUBLIC:
            _owe(tx, release, EventType.RELEASE_CORRECTED, now)
        record(tx, "revised", release, now, by, change_note=dict(draft.change_note), unaffected=list(left_behind))
    return release


def schedule_release(
    storage: Storage, release_id: uuid.UUID, publish_at: datetime, now: datetime, by: ApiKey, *,
    is_expected: Callable[[int], bool],
) -> Release:
    """Go public at this instant and not before. Raises NotFound, RevisionMismatch, IllegalMove, Invalid."""
    _require_future(publish_at, now)
    with storage.write() as tx:
        release = _move(tx, release_id, Move.SCHEDULE, is_expected, publish_at=publish_at)
        record(tx, "scheduled", release, now, by, publish_at=iso(publish_at))
    return release


def unschedule_release(
    storage: Storage, release_id: uuid.UUID, now: datetime, by: ApiKey, *, is_expected: Callable[[int], bool]
) -> Release:
    """Make it a draft again. Raises NotFound, RevisionMismatch, IllegalMove."""
    with storage.write() as tx:
        release = _move(tx, release_id, Move.UNSCHEDULE, is_expected)
        record(tx, "unscheduled", release, now, by)
    return release


def publish_release(
    storage: Storage, release_id: uuid.UUID, now: datetime, by: ApiKey, *, is_expected: Callable[[int], bool]
) -> Release:
    """A draft or a scheduled release goes public now. Raises NotFound, RevisionMismatch, IllegalMove."""
    with storage.write() as tx:
        release = _move(tx, release_id, Move.PUBLISH, is_expected)
        _owe(tx, release, EventType.RELEASE_PUBLISHED, now)
        record(tx, "published", release, now, by)
    return release


def withdraw_release(
    storage: Storage, release_id: uuid.UUID, withdrawal: Withdrawal, now: datetime, by: ApiKey, *,
    is_expected: Callable[[int], bool],
) -> Release:
    """Take every edition back at once. Raises NotFound, RevisionMismatch, IllegalMove, Invalid."""
    with storage.write() as tx:
        if withdrawal.superseded_by:
            withdrawal = _name_successor(tx, release_id, withdrawal, withdrawal.superseded_by)
        release = _move(tx, release_id, Move.WITHDRAW, is_expected, withdrawal=withdrawal)
        _owe(tx, release, EventType.RELEASE_WITHDRAWN, now)
        successor = withdrawal.superseded_by
        record(
            tx, "withdrawn", release, now, by,
            reason=dict(withdrawal.reason), superseded_by=str(successor) if successor else None,
        )
    return release


def publish_scheduled(storage: Storage, now: datetime) -> int:
    """Accept for the public all whose time has come, in the order of their times; how many they are."""
    with storage.write() as tx:
        overdue = releases.list_overdue(tx, now, limit=BATCH)
        for scheduled in overdue:
            release = dataclasses.replace(scheduled, state=next_state(scheduled.state, Move.PUBLISH))
            releases.update_state(tx, release)
            _owe(tx, release, EventType.RELEASE_PUBLISHED, scheduled.publish_at or now)
            record(tx, "published", release, now, SERVICE)
    return len(overdue)


def get_release(storage: Storage, release_id: uuid.UUID) -> Release:
    """The release at its newest revision. Raises NotFound."""
    with storage.read() as tx:
        release = releases.find_release(tx, release_id)
    if release is None:
        raise NotFound(kind="release", id=str(release_id))
    return release


def _hold(tx: Transaction, release_id: uuid.UUID, is_expected: Callable[[int], bool]) -> Release:
    release = releases.lock_release(tx, release_id)
    if release is None:
        raise NotFound(kind="release", id=str(release_id))
    if not is_expected(release.revision):
        raise RevisionMismatch(revision=release.revision)
    return release


def _move(
    tx: Transaction, release_id: uuid.UUID, move: Move, is_expected: Callable[[int], bool], **values: Any
) -> Release:
    before = _hold(tx, release_id, is_expected)
    values = {"publish_at": None, **values}
    release = dataclasses.replace(before, state=next_state(before.state, move), **values)
    releases.update_state(tx, release)
    return release


def _owe(tx: Transaction, release: Release, type: EventType, at: datetime) -> None:
    """What the public is owed from now on, whatever dies."""
    events.insert_event(tx, Event(
        id=new_id(), type=type, created_at=at, release_id=release.id, revision=release.revision,
    ))


def _find_repeated(tx: Transaction, by: ApiKey, repeat: Idempotency) -> Release | None:
    found = idempotency.find_idempotent(tx, by.id, repeat.key)
    if found is None:
        return None
    digest, release_id = found
    if digest != repeat.digest:
        raise IdempotencyKeyReused()
    return releases.find_release(tx, release_id)


def _new_release(
    tx: Transaction, draft: Draft, state: ReleaseState, now: datetime, publish_at: datetime | None
) -> Release:
    release_id = new_id()
    return Release(
        id=release_id, slug=_free_slug(tx, draft, release_id), revision=1, state=state, publish_at=publish_at,
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


def _revised_slug(tx: Transaction, before: Release, draft: Draft) -> str:
    """Addresses that readers know never change; those of a draft may."""
    if draft.slug is None or draft.slug == before.slug:
        return before.slug
    if before.state in PUBLIC:
        raise Invalid([Fault(pointer="/slug", code="slug_fixed", params={"slug": before.slug})])
    return _free_slug(tx, draft, before.id)


def _says_the_same(release: Release, before: Release) -> bool:
    if release.change_note and release.change_note != before.change_note:
        return False
    names = ("slug", "editions", "authoritative_language", "categories", "contacts", "media")
    return all(getattr(release, name) == getattr(before, name) for name in names)


def _require_future(publish_at: datetime | None, now: datetime) -> None:
    if publish_at is not None and publish_at <= now:
        raise Invalid([Fault(pointer="/publish_at", code="in_the_past")])


def _name_successor(
    tx: Transaction, release_id: uuid.UUID, withdrawal: Withdrawal, successor_id: uuid.UUID
) -> Withdrawal:
    # In one order, so that of two that are to stand in each other's place the second finds the first gone.
    for each in sorted({release_id, successor_id}):
        releases.lock_release(tx, each)
    successor = releases.find_release(tx, successor_id)
    if successor_id == release_id or successor is None or successor.state not in PUBLIC:
        raise Invalid([Fault(pointer="/superseded_by", code="no_successor")])
    return dataclasses.replace(
        withdrawal, successor_slug=successor.slug, successor_languages=successor.languages
    )
