"""Releases and their immutable revisions, as staff see them and as readers do."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Edition, EventType, Release, ReleaseState, Revision, Warning, Withdrawal
from service.storage.media import link_media, read_items, write_items
from service.storage.tables import editions, events, releases, revisions

_AT_REVISION = releases.join(
    revisions, sa.and_(revisions.c.release_id == releases.c.id, revisions.c.number == releases.c.revision)
)
_AT_PUBLIC_REVISION = releases.join(
    revisions, sa.and_(revisions.c.release_id == releases.c.id, revisions.c.number == releases.c.public_revision)
)
_AT_EACH_REVISION = releases.join(revisions, revisions.c.release_id == releases.c.id)


def insert_release(tx: sa.Connection, release: Release) -> None:
    """A new release with its first revision."""
    tx.execute(releases.insert().values(
        id=release.id, slug=release.slug, state=release.state, revision=release.revision,
        created_at=release.created_at, updated_at=release.updated_at, publish_at=release.publish_at,
    ))
    _insert_revision(tx, release, release.created_at)


def insert_revision(tx: sa.Connection, release: Release, now: datetime) -> bool:
    """Whether the release was at the revision before this one and now is at this one, with its state and slug."""
    change = releases.update().where(releases.c.id == release.id, releases.c.revision == release.revision - 1)
    values = {name: getattr(release, name) for name in ("revision", "state", "slug", "updated_at")}
    if tx.execute(change.values(**values)).rowcount == 0:
        return False
    tx.execute(editions.delete().where(editions.c.release_id == release.id))
    _insert_revision(tx, release, now)
    return True


def update_state(tx: sa.Connection, release: Release) -> None:
    """Keep the release's state with its schedule or withdrawal."""
    tx.execute(releases.update().where(releases.c.id == release.id).values(
        state=release.state, publish_at=release.publish_at, withdrawal=_withdrawal_document(release.withdrawal),
    ))


def find_release(tx: sa.Connection, release_id: uuid.UUID) -> Release | None:
    """The release at its newest revision, public or not."""
    return _first(tx, _select(_AT_REVISION).where(releases.c.id == release_id))


def lock_release(tx: sa.Connection, release_id: uuid.UUID) -> Release | None:
    """As `find_release`, and nobody else changes it until the transaction ends."""
    # Locked first and read then: a join that waits for a lock looks for the revision that was the newest before.
    tx.execute(sa.select(releases.c.id).where(releases.c.id == release_id).with_for_update())
    return find_release(tx, release_id)


def find_revision(tx: sa.Connection, release_id: uuid.UUID, number: int) -> Release | None:
    """The release as it was at one revision."""
    return _first(tx, _select(_AT_EACH_REVISION).where(releases.c.id == release_id, revisions.c.number == number))


def list_revisions(
    tx: sa.Connection, release_id: uuid.UUID, *, limit: int, before: int | None = None
) -> list[Revision]:
    """Newest first."""
    query = _select(_AT_EACH_REVISION).where(releases.c.id == release_id).order_by(revisions.c.number.desc())
    query = query.where(revisions.c.number < before) if before else query
    return _revisions(tx, query.limit(limit))


def list_corrections(tx: sa.Connection, release: Release) -> list[Revision]:
    """The revisions up to this one that follow the one that readers saw first, those with a note, newest first."""
    first = sa.select(sa.func.min(events.c.revision)).where(
        events.c.release_id == release.id, events.c.type == EventType.RELEASE_PUBLISHED,
        events.c.published_at.is_not(None),
    )
    query = _select(_AT_EACH_REVISION).where(
        releases.c.id == release.id, revisions.c.number > first.scalar_subquery(),
        revisions.c.number <= release.revision,
    )
    found = _revisions(tx, query.order_by(revisions.c.number.desc()))
    return [revision for revision in found if revision.release.change_note]


def list_releases(
    tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None,
    state: str | None = None, language: str | None = None, words: str | None = None,
) -> list[Release]:
    """Newest first, from just before the release `before`; `words` are looked for in headlines and bodies."""
    query = _select(_AT_REVISION)
    if language:
        query = query.join(editions, editions.c.release_id == releases.c.id)
        query = query.where(editions.c.language == language, *_say(words))
    elif words:
        query = query.where(sa.exists().where(editions.c.release_id == releases.c.id, *_say(words)))
    # The same ids, but each in the order of an index that begins with a condition.
    newest = editions.c.release_id if language and not state else releases.c.id
    if before:
        query = query.where(newest < before)
    if state:
        query = query.where(releases.c.state == state)
    return _list(tx, query.order_by(newest.desc()).limit(limit))


def list_overdue(tx: sa.Connection, now: datetime, *, limit: int) -> list[Release]:
    """Scheduled releases whose time has come, in the order of their times."""
    due = sa.select(releases.c.id).where(releases.c.state == ReleaseState.SCHEDULED, releases.c.publish_at <= now)
    order = (releases.c.publish_at, releases.c.id)
    ids = tx.execute(due.order_by(*order).limit(limit).with_for_update()).scalars().all()
    return _list(tx, _select(_AT_REVISION).where(releases.c.id.in_(ids)).order_by(*order))


def find_next_publish_at(tx: sa.Connection) -> datetime | None:
    """When the next scheduled release is to go public."""
    return tx.execute(
        sa.select(sa.func.min(releases.c.publish_at)).where(releases.c.state == ReleaseState.SCHEDULED)
    ).scalar()


def list_public(tx: sa.Connection, release_ids: Iterable[uuid.UUID]) -> list[Release]:
    """These, at the revision that readers see; those that were never public are left out."""
    return _list(tx, _select(_AT_PUBLIC_REVISION).where(releases.c.id.in_(list(release_ids))))


def list_withdrawals(tx: sa.Connection, release_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Withdrawal]:
    """Why those of these were withdrawn that were."""
    query = sa.select(releases.c.id, releases.c.withdrawal).where(releases.c.id.in_(list(release_ids)))
    return {row.id: found for row in tx.execute(query) if (found := _withdrawal(row.withdrawal))}


def list_positions(tx: sa.Connection, first: int, last: int) -> list[Release]:
    """What went public as the `first` to the `last`, newest first, the withdrawn and the set aside among them."""
    query = _select(_AT_PUBLIC_REVISION).where(releases.c.position.between(first, last))
    return _list(tx, query.order_by(releases.c.position.desc()))


def find_last_change(tx: sa.Connection, first: int, last: int) -> datetime | None:
    """When readers last saw anything change of what went public as the `first` to the `last`."""
    query = sa.select(sa.func.max(releases.c.modified_at)).where(releases.c.position.between(first, last))
    return tx.execute(query).scalar()


def find_public_release(tx: sa.Connection, slug: str) -> Release | None:
    """The release that readers find at this slug, or the record that it was withdrawn."""
    return _first(tx, _select(_AT_PUBLIC_REVISION).where(
        releases.c.slug == slug, releases.c.published_at.is_not(None)
    ))


def is_slug_taken(tx: sa.Connection, slug: str) -> bool:
    return tx.execute(sa.select(sa.exists().where(releases.c.slug == slug))).scalar_one()


def make_public(tx: sa.Connection, shown: Sequence[Release]) -> None:
    """Show these to readers as they are: revision, times and position."""
    names = ("updated_at", "published_at", "withdrawn_at", "position", "modified_at")
    values = [
        {"key": release.id, "public_revision": release.revision, "set_aside_at": None,
         "edition_updates": {tag: at.isoformat() for tag, at in release.edition_updates.items()},
         **{name: getattr(release, name) for name in names}}
        for release in shown
    ]
    if values:
        tx.execute(releases.update().where(releases.c.id == sa.bindparam("key")), values)


def set_aside(tx: sa.Connection, release_ids: Iterable[uuid.UUID], now: datetime, modified_at: datetime) -> None:
    """Keep these out of every feed until they are corrected."""
    change = releases.update().where(releases.c.id.in_(list(release_ids)))
    tx.execute(change.values(set_aside_at=now, modified_at=modified_at))


def _insert_revision(tx: sa.Connection, release: Release, now: datetime) -> None:
    tx.execute(revisions.insert().values(
        release_id=release.id, number=release.revision, document=_document(release), created_at=now,
    ))
    link_media(tx, release)
    # What the list is searched by: the newest revision's text.
    tx.execute(editions.insert(), [
        {"release_id": release.id, "language": edition.language,
         "headline": edition.headline, "body_text": edition.body_text}
        for edition in release.editions
    ])


def _select(source: sa.FromClause) -> sa.Select[Any]:
    revised_at = revisions.c.created_at.label("revised_at")
    return sa.select(releases, revisions.c.number, revisions.c.document, revised_at).select_from(source)


def _first(tx: sa.Connection, query: sa.Select[Any]) -> Release | None:
    row = tx.execute(query).first()
    return _release(row) if row else None


def _list(tx: sa.Connection, query: sa.Select[Any]) -> list[Release]:
    return [_release(row) for row in tx.execute(query)]


def _revisions(tx: sa.Connection, query: sa.Select[Any]) -> list[Revision]:
    return [
        Revision(number=row.number, created_at=row.revised_at, release=_release(row)) for row in tx.execute(query)
    ]


def _say(words: str | None) -> list[sa.ColumnElement[bool]]:
    """That an edition has every one of these words, in its headline or its body."""
    return [
        sa.or_(
            editions.c.headline.icontains(word, autoescape=True), editions.c.body_text.icontains(word, autoescape=True)
        )
        for word in (words or "").split()
    ]


def _document(release: Release) -> dict[str, Any]:
    return {
        "authoritative_language": release.authoritative_language,
        "categories": list(release.categories),
        "contacts": [dict(contact) for contact in release.contacts],
        "editions": [dataclasses.asdict(edition) for edition in release.editions],
        "media": write_items(release.media),
        "warnings": [dataclasses.asdict(warning) for warning in release.warnings],
        "change_note": dict(release.change_note),
        "unaffected": list(release.unaffected),
    }


def _release(row: Any) -> Release:
    document = row.document
    return Release(
        id=row.id, slug=row.slug, revision=row.number, state=ReleaseState(row.state),
        created_at=row.created_at, updated_at=row.updated_at, published_at=row.published_at,
        set_aside_at=row.set_aside_at, publish_at=row.publish_at, withdrawn_at=row.withdrawn_at,
        withdrawal=_withdrawal(row.withdrawal), public_revision=row.public_revision, position=row.position,
        modified_at=row.modified_at,
        edition_updates={tag: datetime.fromisoformat(at) for tag, at in (row.edition_updates or {}).items()},
        editions=tuple(Edition(**edition) for edition in document["editions"]),
        authoritative_language=document["authoritative_language"],
        categories=tuple(document["categories"]),
        contacts=tuple(document["contacts"]),
        media=read_items(document.get("media", ())),
        warnings=tuple(Warning(**warning) for warning in document["warnings"]),
        change_note=document.get("change_note", {}),
        unaffected=tuple(document.get("unaffected", ())),
    )


def _withdrawal_document(withdrawal: Withdrawal | None) -> dict[str, Any] | None:
    if withdrawal is None:
        return None
    successor = withdrawal.superseded_by
    return {
        "reason": dict(withdrawal.reason), "superseded_by": str(successor) if successor else None,
        "successor_slug": withdrawal.successor_slug, "successor_languages": list(withdrawal.successor_languages),
    }


def _withdrawal(document: Mapping[str, Any] | None) -> Withdrawal | None:
    if document is None:
        return None
    successor = document["superseded_by"]
    return Withdrawal(
        reason=document["reason"], superseded_by=uuid.UUID(successor) if successor else None,
        successor_slug=document.get("successor_slug"),
        successor_languages=tuple(document.get("successor_languages", ())),
    )
