"""Bring every sealed column of every table under the first key. What is left to do is told by the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.model import Secret
from service.storage.engine import Storage
from service.storage.sealed import Sealed, vault_of
from service.storage.tables import metadata

BATCH = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """How many texts were sealed anew, and how many were left, for their key is missing."""

    sealed: int
    lost: int


def count_stale(storage: Storage) -> int:
    """How many texts the first key did not seal."""
    with storage.read() as tx:
        counts = (sa.select(sa.func.count()).where(_is_stale(tx, column)) for column in _sealed_columns())
        return sum(tx.execute(count).scalar_one() for count in counts)


def count_lost(storage: Storage) -> int:
    """How many texts none of our keys sealed."""
    with storage.read() as tx:
        return sum(_count_lost(tx, column) for column in _sealed_columns())


def reseal(storage: Storage) -> Iterator[Batch]:
    """Seal with the first key whatever isn't; each batch is kept as it is yielded. Raises StorageUnavailable."""
    for column in _sealed_columns():
        after = None
        while rows := _list_stale(storage, column, after):
            yield _reseal(storage, column, rows)
            after = rows[-1][0]


def _sealed_columns() -> list[sa.Column[Any]]:
    columns = (column for table in metadata.sorted_tables for column in table.columns)
    return [column for column in columns if isinstance(column.type, Sealed)]


def _list_stale(storage: Storage, column: sa.Column[Any], after: Any) -> Sequence[Any]:
    [key] = column.table.primary_key.columns
    with storage.read() as tx:
        query = sa.select(key, _stored(column)).where(_is_stale(tx, column)).order_by(key).limit(BATCH)
        return tx.execute(query if after is None else query.where(key > after)).all()


def _reseal(storage: Storage, column: sa.Column[Any], rows: Sequence[Any]) -> Batch:
    [key] = column.table.primary_key.columns
    vault = vault_of(storage.engine.dialect)
    found = [(id, stored) for id, stored in rows if vault.opens(stored)]
    with storage.write() as tx:
        for id, stored in found:
            # A secret that was replaced meanwhile is sealed by the first key already.
            same = column.table.update().where(key == id, _stored(column) == stored)
            tx.execute(same.values({column: Secret(stored, vault.open)}))
    return Batch(len(found), len(rows) - len(found))


def _count_lost(tx: sa.Connection, column: sa.Column[Any]) -> int:
    """By one text for each key, for there may be many texts."""
    vault = vault_of(tx.dialect)
    name = sa.func.substr(_stored(column), 1, len(vault.prefix))
    found = sa.select(sa.func.min(_stored(column)), sa.func.count()).where(_is_stale(tx, column)).group_by(name)
    return sum(count for stored, count in tx.execute(found) if not vault.opens(stored))


def _stored(column: sa.Column[Any]) -> sa.ColumnElement[str]:
    return sa.type_coerce(column, sa.Text)


def _is_stale(tx: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    stored = _stored(column)
    return sa.and_(stored != "", sa.not_(stored.startswith(vault_of(tx.dialect).prefix, autoescape=True)))
