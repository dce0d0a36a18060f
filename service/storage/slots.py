"""Which release has which number in the archives of a category. The category "" is all releases, by position."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.model import Release
from service.storage import releases
from service.storage.listings import ALL, ids_at
from service.storage.listings import ids_after as find_ids_after
from service.storage.tables import releases as rows
from service.storage.tables import slots


@dataclass(frozen=True, slots=True)
class Slot:
    """One release of an archive, withdrawn or set aside perhaps; since ``left_at`` it is in the category no more."""

    release: Release
    left_at: datetime | None = None


def find_last_numbers(tx: sa.Connection, categories: Iterable[str]) -> dict[str, int]:
    """The highest that was ever given, of those categories where one was."""
    # One by one, so that an index leads to each.
    query = sa.select(sa.func.max(slots.c.number))
    found = {term: tx.execute(query.where(slots.c.category == term)).scalar() for term in categories}
    return {term: number for term, number in found.items() if number}


def list_numbers(tx: sa.Connection, release_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """Of each of these by category, also where it is no more."""
    found: dict[uuid.UUID, dict[str, int]] = {release_id: {} for release_id in release_ids}
    for row in tx.execute(sa.select(slots).where(slots.c.release_id.in_(list(found)))):
        found[row.release_id][row.category] = row.number
    return found


def ids_after(tx: sa.Connection, category: str, language: str, number: int) -> list[uuid.UUID]:
    """The live ones of the category in this language that have a higher number."""
    if category == ALL:
        return find_ids_after(tx, language, number)
    # Joined with what is listed, it would be read from the end that grows.
    query = sa.select(rows.c.position).join_from(slots, rows)
    query = query.where(slots.c.category == category, slots.c.number > number)
    return ids_at(tx, category, language, list(tx.execute(query).scalars()))


def list_slots(tx: sa.Connection, category: str, first: int, last: int) -> list[Slot]:
    """The `first` to the `last`, newest first; what never became public has none to show."""
    if category == ALL:
        return [Slot(release) for release in releases.list_positions(tx, first, last)]
    query = sa.select(slots.c.release_id, slots.c.left_at).where(_between(category, first, last))
    left = {row.release_id: row.left_at for row in tx.execute(query.order_by(slots.c.number.desc()))}
    found = {release.id: release for release in releases.list_public(tx, left)}
    return [Slot(found[release_id], left_at) for release_id, left_at in left.items() if release_id in found]


def find_last_change(tx: sa.Connection, category: str, first: int, last: int) -> datetime | None:
    """When readers last saw anything change in the `first` to the `last`."""
    if category == ALL:
        return releases.find_last_change(tx, first, last)
    # What left is no part of the archive, whatever becomes of it elsewhere.
    changed_at = sa.func.max(sa.func.coalesce(slots.c.left_at, rows.c.modified_at), type_=slots.c.left_at.type)
    return tx.execute(sa.select(changed_at).join_from(slots, rows).where(_between(category, first, last))).scalar()


def insert_slots(tx: sa.Connection, numbers: Mapping[tuple[str, uuid.UUID], int], second: datetime) -> None:
    """Empty ones: what breaks a feed has its number too, and isn't there. Positions stand with the releases."""
    new = [
        {"category": category, "number": number, "release_id": release_id, "left_at": second}
        for (category, release_id), number in numbers.items() if category != ALL
    ]
    if new:
        tx.execute(slots.insert(), new)


def settle_slots(tx: sa.Connection, shown: Sequence[tuple[Release, Sequence[str]]], second: datetime) -> None:
    """Have each of these stand in its slots of these categories, and leave the others unless it has before."""
    for release, categories in shown:
        is_in = slots.c.category.in_(categories)
        left_at = sa.case((is_in, None), else_=sa.func.coalesce(slots.c.left_at, second))
        tx.execute(slots.update().where(slots.c.release_id == release.id).values(left_at=left_at))


def _between(category: str, first: int, last: int) -> sa.ColumnElement[bool]:
    return sa.and_(slots.c.category == category, slots.c.number.between(first, last))
