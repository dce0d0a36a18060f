"""Uploaded media, and which revision of which release shows them."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from service.model import Release, ReleaseMedium, ReleaseState, StoredMedium
from service.storage.tables import media, release_media, releases

# How a body's HTML names an uploaded picture.
_IN_BODY = re.compile(r"/media/([0-9a-f]{32}\.[a-z0-9]+)")
_COLUMNS = [field.name for field in dataclasses.fields(StoredMedium)]


class Visibility(StrEnum):
    """What readers may know of a medium: nothing, all of it, or that it is no more."""

    HIDDEN = "hidden"
    SHOWN = "shown"
    GONE = "gone"


def keep_medium(tx: sa.Connection, medium: StoredMedium) -> tuple[StoredMedium, bool]:
    """The medium of these bytes, and whether it is new."""
    # Not the dialects' ON CONFLICT: a savepoint says the same on both.
    try:
        with tx.begin_nested():
            tx.execute(media.insert().values(**{name: getattr(medium, name) for name in _COLUMNS}))
    except sa.exc.IntegrityError:
        return _medium(tx.execute(sa.select(media).where(media.c.digest == medium.digest)).one()), False
    return medium, True


def find_medium(tx: sa.Connection, medium_id: uuid.UUID) -> StoredMedium | None:
    row = tx.execute(sa.select(media).where(media.c.id == medium_id)).first()
    return _medium(row) if row else None


def list_media(tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None) -> list[StoredMedium]:
    """Newest first."""
    query = sa.select(media).order_by(media.c.id.desc()).limit(limit)
    return [_medium(row) for row in tx.execute(query.where(media.c.id < before) if before else query)]


def find_media(
    tx: sa.Connection, ids: Collection[uuid.UUID], file_names: Collection[str]
) -> list[StoredMedium]:
    """Those that are named in either way."""
    query = sa.select(media).where(sa.or_(media.c.id.in_(ids), media.c.file_name.in_(file_names)))
    return [_medium(row) for row in tx.execute(query)]


def find_served(tx: sa.Connection, file_name: str) -> tuple[StoredMedium, Visibility] | None:
    """The file of this name, and whether the public revision of a release shows it."""
    used = sa.and_(release_media.c.media_id == media.c.id, releases.c.id == release_media.c.release_id)
    shown = sa.exists().where(
        used, release_media.c.revision == releases.c.public_revision,
        releases.c.published_at.is_not(None), releases.c.withdrawn_at.is_(None),
    )
    gone = sa.exists().where(
        used, release_media.c.revision <= releases.c.public_revision, releases.c.withdrawn_at.is_not(None)
    )
    query = sa.select(media, shown.label("shown"), gone.label("gone")).where(media.c.file_name == file_name)
    row = tx.execute(query).first()
    if row is None:
        return None
    if row.shown:
        return _medium(row), Visibility.SHOWN
    return _medium(row), Visibility.GONE if row.gone else Visibility.HIDDEN


def is_shown_at(tx: sa.Connection, medium_id: uuid.UUID, release_id: uuid.UUID, revision: int) -> bool:
    """Whether this revision shows the medium, of a release that isn't withdrawn."""
    query = sa.exists().where(
        release_media.c.media_id == medium_id, release_media.c.release_id == release_id,
        release_media.c.revision == revision, releases.c.id == release_media.c.release_id,
        releases.c.state != ReleaseState.WITHDRAWN,
    )
    return tx.execute(sa.select(query)).scalar_one()


def link_media(tx: sa.Connection, release: Release) -> None:
    """Write down which uploaded media this revision shows, in its list or in its text."""
    ids = {medium.media_id for medium in release.media if medium.media_id}
    names = {name for edition in release.editions for name in _IN_BODY.findall(edition.body_html)}
    if not ids and not names:
        return
    rows = [
        {"media_id": medium.id, "release_id": release.id, "revision": release.revision}
        for medium in find_media(tx, ids, names)
    ]
    if rows:
        tx.execute(release_media.insert(), rows)


def write_items(items: Collection[ReleaseMedium]) -> list[dict[str, Any]]:
    """A release's media as JSON, for the revision's document."""
    return [
        {**dataclasses.asdict(item), "media_id": str(item.media_id) if item.media_id else None} for item in items
    ]


def read_items(items: Collection[Mapping[str, Any]]) -> tuple[ReleaseMedium, ...]:
    return tuple(
        ReleaseMedium(**{**item, "media_id": uuid.UUID(item["media_id"]) if item["media_id"] else None})
        for item in items
    )


def _medium(row: Any) -> StoredMedium:
    return StoredMedium(**{name: getattr(row, name) for name in _COLUMNS})
