"""Many at once: whole lists as one parameter, so that a statement is the same however long they are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


def among(column: sa.ColumnElement[Any], values: Collection[Any] | str) -> sa.ColumnElement[bool]:
    """Whether it is one of these ids, texts or numbers; of a statement that is made once, the parameter's name."""
    type_ = Listed(column.type)
    if isinstance(values, str):
        return _Among(column, sa.bindparam(values, type_=type_))
    return _Among(column, sa.bindparam(None, values, type_=type_, unique=True))


class Listed(sa.TypeDecorator[Collection[Any]]):
    """Many of a type: an array for PostgreSQL, JSON for SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return postgresql.ARRAY(self.item) if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: Collection[Any] | None, dialect: sa.Dialect) -> Any:
        listed = list(value or ())
        if dialect.name == "postgresql":
            return listed
        return json.dumps([each.hex if isinstance(each, uuid.UUID) else each for each in listed])


class Key(sa.TypeDecorator[Any]):
    """An id as the driver gives it, to be compared and handed back: to make a UUID of each takes SQLite longer than
    to find it."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return sa.Uuid() if dialect.name == "postgresql" else sa.CHAR(32)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value.hex if dialect.name == "sqlite" and isinstance(value, uuid.UUID) else value


def key_of(tx: sa.Connection, id: uuid.UUID) -> Any:
    """The same of an id that we have."""
    return id.hex if tx.dialect.name == "sqlite" else id


class Rows:
    """One change or insertion for many rows: PostgreSQL takes each column whole, SQLite row after row.

    ``make`` makes the statement from what a row is named by, each of its type. For PostgreSQL, statements of their own
    would take four times as long.
    """

    def __init__(
        self, types: Mapping[str, sa.types.TypeEngine[Any]],
        make: Callable[[Mapping[str, sa.ColumnElement[Any]]], sa.Update | sa.Insert],
    ) -> None:
        self._each = make({name: sa.bindparam(name, type_=type_) for name, type_ in types.items()})
        arrays = (sa.bindparam(name, type_=postgresql.ARRAY(type_)) for name, type_ in types.items())
        columns = (sa.column(name, type_) for name, type_ in types.items())
        rows = sa.func.unnest(*arrays).table_valued(*columns).render_derived()
        self._all = make({name: rows.c[name] for name in types})

    def execute(self, tx: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if tx.dialect.name == "postgresql":
            tx.execute(self._all, {name: [row[name] for row in rows] for name in rows[0]})
        else:
            tx.execute(self._each, rows)


class _Among(FunctionElement[bool]):
    # Of no type: what it knows for a boolean, SQLAlchemy compares with 1 on SQLite, which then looks in no index.
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_json(element: _Among, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    # Both are SQL that the compiler has made.
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608


@compiles(_Among, "postgresql")
def _among_array(element: _Among, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY ({values})"
