"""What each feed and list shows, per category and language. The category "" is all releases."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import Release
from service.storage.tables import feeds, listings, releases

ALL = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where readers find one edition of a live release."""

    position: int
    language: str
    slug: str
    updated_at: datetime


def replace_listings(tx: sa.Connection, shown: Sequence[tuple[Release, Sequence[str]]]) -> None:
    """List each of these in its languages and in these categories, and nowhere else."""
    tx.execute(listings.delete().where(listings.c.release_id.in_([release.id for release, _ in shown])))
    rows = [
        {"category": category, "language": language, "position": release.position, "release_id": release.id,
         "updated_at": release.updated_in(language), "withdrawn_at": release.withdrawn_at}
        for release, categories in shown if release.position
        for language in release.languages for category in (ALL, *categories)
    ]
    if rows:
        tx.execute(listings.insert(), rows)


def remove_listings(tx: sa.Connection, release_ids: Sequence[uuid.UUID]) -> None:
    tx.execute(listings.delete().where(listings.c.release_id.in_(release_ids)))


def newest_ids(tx: sa.Connection, category: str, language: str, *, limit: int) -> list[uuid.UUID]:
    """The live ones that changed last, newest change first: a correction brings a release back to the top."""
    return _ids(tx, _live(category, language).order_by(listings.c.updated_at.desc()).limit(limit))


def ids_after(tx: sa.Connection, language: str, position: int) -> list[uuid.UUID]:
    """The live ones that went public after this position."""
    return _ids(tx, _live(ALL, language).where(listings.c.position > position))


def ids_at(tx: sa.Connection, category: str, language: str, positions: Sequence[int]) -> list[uuid.UUID]:
    """The live ones that went public at these positions."""
    return _ids(tx, _live(category, language).where(listings.c.position.in_(positions)))


def page_ids(tx: sa.Connection, language: str, *, limit: int, before: int | None) -> list[uuid.UUID]:
    """The live ones, newest publication first, from just before the position `before`."""
    query = _live(ALL, language).order_by(listings.c.position.desc()).limit(limit)
    return _ids(tx, query.where(listings.c.position < before) if before else query)


def list_places(tx: sa.Connection, languages: Sequence[str], first: int, last: int) -> list[Place]:
    """Of the live releases that went public as the `first` to the `last`, in no order."""
    # Named one by one, the languages let the primary key find the positions.
    query = sa.select(listings.c.position, listings.c.language, releases.c.slug, listings.c.updated_at).join(releases)
    query = query.where(
        listings.c.category == ALL, listings.c.language.in_(languages), listings.c.position.between(first, last),
        listings.c.withdrawn_at.is_(None),
    )
    return [Place(*row) for row in tx.execute(query)]


def newest_withdrawn(
    tx: sa.Connection, category: str, language: str, *, limit: int
) -> list[tuple[uuid.UUID, datetime]]:
    """The last withdrawals and their instants, newest first."""
    query = sa.select(listings.c.release_id, listings.c.withdrawn_at).where(
        listings.c.category == category, listings.c.language == language, listings.c.withdrawn_at.is_not(None)
    )
    rows = tx.execute(query.order_by(listings.c.withdrawn_at.desc()).limit(limit))
    return [(row.release_id, row.withdrawn_at) for row in rows]


def feed_updates(tx: sa.Connection) -> dict[tuple[str, str], datetime]:
    """Category and language to when that feed last changed in what it shows."""
    return {(row.category, row.language): row.updated_at for row in tx.execute(sa.select(feeds))}


def keep_feed_updates(tx: sa.Connection, updates: dict[tuple[str, str], datetime]) -> None:
    for (category, language), updated_at in updates.items():
        key = {"category": category, "language": language}
        change = feeds.update().where(feeds.c.category == category, feeds.c.language == language)
        if tx.execute(change.values(updated_at=updated_at)).rowcount == 0:
            tx.execute(feeds.insert().values(**key, updated_at=updated_at))


def _live(category: str, language: str) -> sa.Select[Any]:
    return sa.select(listings.c.release_id).where(
        listings.c.category == category, listings.c.language == language, listings.c.withdrawn_at.is_(None)
    )


def _ids(tx: sa.Connection, query: sa.Select[Any]) -> list[uuid.UUID]:
    return list(tx.execute(query).scalars())
