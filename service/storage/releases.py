"""Releases, their immutable revisions, and the text that the list is searched by."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Edition, Release, ReleaseState, Warning
from service.storage.media import link_media, read_items, write_items
from service.storage.tables import editions, idempotency_keys, releases, revisions

_AT_REVISION = releases.join(
    revisions, sa.and_(revisions.c.release_id == releases.c.id, revisions.c.number == releases.c.revision)
)
_AT_PUBLIC_REVISION = releases.join(
    revisions, sa.and_(revisions.c.release_id == releases.c.id, revisions.c.number == releases.c.public_revision)
)


def insert_release(tx: sa.Connection, release: Release) -> None:
    """A new release with its first revision."""
    tx.execute(releases.insert().values(
        id=release.id, slug=release.slug, state=release.state, revision=release.revision,
        created_at=release.created_at, updated_at=release.updated_at,
    ))
    tx.execute(revisions.insert().values(
        release_id=release.id, number=release.revision, document=_document(release), created_at=release.created_at,
    ))
    tx.execute(editions.insert(), [
        {"release_id": release.id, "language": edition.language,
         "headline": edition.headline, "body_text": edition.body_text}
        for edition in release.editions
    ])
    link_media(tx, release)


def find_release(tx: sa.Connection, release_id: uuid.UUID) -> Release | None:
    """The release at its newest revision, public or not."""
    row = tx.execute(_select(_AT_REVISION).where(releases.c.id == release_id)).first()
    return _release(row) if row else None


def list_releases(
    tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None,
    state: str | None = None, language: str | None = None, words: str | None = None,
) -> list[Release]:
    """Newest first, from just before the release `before`; `words` are looked for in headlines and bodies."""
    query = _select(_AT_REVISION).order_by(releases.c.id.desc()).limit(limit)
    if before:
        query = query.where(releases.c.id < before)
    if state:
        query = query.where(releases.c.state == state)
    if language or words:
        query = query.where(_edition_exists(language, words))
    return [_release(row) for row in tx.execute(query)]


def list_public_releases(
    tx: sa.Connection, *, limit: int, before: datetime | None = None
) -> list[Release]:
    """What readers see, newest first, from just before the instant `before`."""
    query = (
        _select(_AT_PUBLIC_REVISION)
        .where(releases.c.published_at.is_not(None), releases.c.set_aside_at.is_(None))
        .order_by(releases.c.published_at.desc()).limit(limit)
    )
    if before:
        query = query.where(releases.c.published_at < before)
    return [_release(row) for row in tx.execute(query)]


def find_public_release(tx: sa.Connection, slug: str) -> Release | None:
    """The release that readers see at this slug."""
    query = _select(_AT_PUBLIC_REVISION).where(releases.c.slug == slug, releases.c.published_at.is_not(None))
    row = tx.execute(query).first()
    return _release(row) if row else None


def is_slug_taken(tx: sa.Connection, slug: str) -> bool:
    return tx.execute(sa.select(sa.exists().where(releases.c.slug == slug))).scalar_one()


def set_state(tx: sa.Connection, release_id: uuid.UUID, state: ReleaseState, *, was: ReleaseState) -> bool:
    """Whether the release was in the state `was` and now is in `state`."""
    change = releases.update().where(releases.c.id == release_id, releases.c.state == was)
    return tx.execute(change.values(state=state)).rowcount == 1


def make_public(tx: sa.Connection, release: Release) -> None:
    """Show this revision to readers, with its `updated_at` and `published_at`."""
    tx.execute(releases.update().where(releases.c.id == release.id).values(
        public_revision=release.revision, updated_at=release.updated_at, published_at=release.published_at,
    ))


def set_aside(tx: sa.Connection, release_ids: Iterable[uuid.UUID], now: datetime) -> None:
    """Keep these out of every feed until they are corrected."""
    tx.execute(releases.update().where(releases.c.id.in_(list(release_ids))).values(set_aside_at=now))


def find_idempotent(tx: sa.Connection, api_key_id: uuid.UUID, key: str) -> tuple[str, uuid.UUID] | None:
    """The body's digest and the release that this caller's key was first used for."""
    columns = (idempotency_keys.c.digest, idempotency_keys.c.release_id)
    where = (idempotency_keys.c.api_key_id == api_key_id, idempotency_keys.c.key == key)
    row = tx.execute(sa.select(*columns).where(*where)).first()
    return (row.digest, row.release_id) if row else None


def keep_idempotent(
    tx: sa.Connection, api_key_id: uuid.UUID, key: str, digest: str, release_id: uuid.UUID, now: datetime
) -> None:
    tx.execute(idempotency_keys.insert().values(
        api_key_id=api_key_id, key=key, digest=digest, release_id=release_id, created_at=now,
    ))


def _select(source: sa.FromClause) -> sa.Select[Any]:
    return sa.select(releases, revisions.c.number, revisions.c.document).select_from(source)


def _edition_exists(language: str | None, words: str | None) -> sa.ColumnElement[bool]:
    wanted = sa.select(editions.c.release_id).where(editions.c.release_id == releases.c.id)
    if language:
        wanted = wanted.where(editions.c.language == language)
    for word in (words or "").split():
        wanted = wanted.where(sa.or_(
            editions.c.headline.icontains(word, autoescape=True),
            editions.c.body_text.icontains(word, autoescape=True),
        ))
    return wanted.exists()


def _document(release: Release) -> dict[str, Any]:
    return {
        "authoritative_language": release.authoritative_language,
        "categories": list(release.categories),
        "contacts": [dict(contact) for contact in release.contacts],
        "editions": [dataclasses.asdict(edition) for edition in release.editions],
        "media": write_items(release.media),
        "warnings": [dataclasses.asdict(warning) for warning in release.warnings],
    }


def _release(row: Any) -> Release:
    document = row.document
    return Release(
        id=row.id, slug=row.slug, revision=row.number, state=ReleaseState(row.state),
        created_at=row.created_at, updated_at=row.updated_at, published_at=row.published_at,
        set_aside_at=row.set_aside_at,
        editions=tuple(Edition(**edition) for edition in document["editions"]),
        authoritative_language=document["authoritative_language"],
        categories=tuple(document["categories"]),
        contacts=tuple(document["contacts"]),
        media=read_items(document.get("media", ())),
        warnings=tuple(Warning(**warning) for warning in document["warnings"]),
    )
