"""A newsroom with years of releases behind it, written into the database as publishing would have left them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bench import samples
from bench.report import progress
from service.clock import new_id, utc_now
from service.config import Profile
from service.model import ReleaseState
from service.publishing import publish_due
from service.releases import accept_release
from service.storage import Storage, feeds
from service.storage import listings as listed
from service.storage.tables import audit, editions, events, listings, releases, revisions, slots
from service.validation import validate_release
from tests.factories import make_desk

# So many are published; all others are copies of them, hour by hour.
PATTERN = 100
STEP = timedelta(hours=1)
# Copies of the whole pattern that one transaction writes.
BATCH = 50
# What publishing leaves of a release, those first that the others refer to.
TABLES = (releases, revisions, editions, listings, events, audit)

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Copy:
    """The `number`-th copy of the pattern, and the ids of its releases by those of the pattern."""

    number: int
    ids: Mapping[uuid.UUID, uuid.UUID]


# How a column's value changes from the pattern to a copy; times move on, all else is the same.
_CHANGES: Mapping[str, Callable[[Any, _Copy], Any]] = {
    "id": lambda value, copy: copy.ids.get(value) or new_id(),
    "release_id": lambda value, copy: copy.ids[value],
    "position": lambda value, copy: value + copy.number * PATTERN,
    "slug": lambda value, copy: f"{value}-{copy.number}",
}


def load_releases(storage: Storage, profile: Profile, count: int) -> None:
    """Make `count` releases public, a multiple of PATTERN, in a new database."""
    copies = count // PATTERN
    first_at = utc_now() - copies * STEP
    _publish_pattern(storage, profile, first_at)
    with storage.read() as tx:
        pattern = {table: tx.execute(sa.select(table)).mappings().all() for table in TABLES}
    for begin in range(1, copies, BATCH):
        progress(f"scale: loaded {begin * PATTERN:,} of {count:,} releases")
        with storage.write() as tx:
            _insert_copies(tx, pattern, range(begin, min(begin + BATCH, copies)))
    with storage.write() as tx:
        _number(tx)
        _move_on(tx, copies - 1)
    analyse(storage)


def _publish_pattern(storage: Storage, profile: Profile, at: datetime) -> None:
    desk = make_desk(storage)
    for number in range(PATTERN):
        draft = validate_release(samples.short_document(number), profile)
        accept_release(storage, draft, ReleaseState.PUBLISHED, at, desk)
    publish_due(storage, profile, lambda: at)
    with storage.write() as tx:
        # Partners had theirs; there were none.
        tx.execute(events.update().values(planned_at=at))


def _insert_copies(tx: sa.Connection, pattern: Mapping[sa.Table, Sequence[Row]], numbers: range) -> None:
    copies = [_Copy(number, {row["id"]: new_id() for row in pattern[releases]}) for number in numbers]
    for table, rows in pattern.items():
        tx.execute(table.insert(), [_change(row, copy) for copy in copies for row in rows])


def _change(row: Row, copy: _Copy) -> dict[str, Any]:
    later = {name: value + copy.number * STEP for name, value in row.items() if isinstance(value, datetime)}
    changed = {name: change(row[name], copy) for name, change in _CHANGES.items() if name in row}
    return {**row, **later, **changed}


def _number(tx: sa.Connection) -> None:
    """Each category for itself, in the order of publication."""
    tx.execute(slots.delete())
    shown = sa.select(listings.c.category, listings.c.position, listings.c.release_id).distinct()
    once = shown.where(listings.c.category != listed.ALL).subquery()
    number = sa.func.row_number().over(partition_by=once.c.category, order_by=once.c.position)
    numbered = sa.select(once.c.category, number, once.c.release_id)
    tx.execute(slots.insert().from_select(["category", "number", "release_id"], numbered))


def _move_on(tx: sa.Connection, number: int) -> None:
    """The feeds were last drawn when the last copy went public."""
    later = number * STEP
    listed.keep_feed_updates(tx, {feed: at + later for feed, at in listed.feed_updates(tx).items()})
    last = feeds.find_generation(tx)
    assert last
    feeds.advance_generation(tx, dataclasses.replace(
        last, number=last.number + 1, position=(number + 1) * PATTERN, published_at=last.published_at + later,
        swapped_at=last.swapped_at + later, redrawn_at=last.redrawn_at + later,
    ))


def analyse(storage: Storage) -> None:
    """PostgreSQL does this by itself after a while; SQLite never does, and the service doesn't either."""
    if storage.engine.dialect.name == "postgresql":
        with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))
