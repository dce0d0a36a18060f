"""Many at once: whole lists and tables as one parameter of JSON, so that a statement is the same however long they are.

The drivers would bind each value by itself, in Python: several times what it takes a database to read the JSON.
"""

from __future__ import annotations

import json
import uuid
from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NewType

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.storage.tables import Instant

# Rows as one parameter of JSON.
Packed = NewType("Packed", str)

_ROWS = "rows"
_WITHOUT_ZONE = len("2026-01-01 00:00:00.000000")


def among(column: sa.ColumnElement[Any], values: Collection[Any] | str) -> sa.ColumnElement[bool]:
    """Whether it is one of these ids, texts or numbers; of a statement that is made once, the parameter's name."""
    if isinstance(values, str):
        return _Among(column, sa.bindparam(values, type_=Listed()))
    return _Among(column, sa.bindparam(None, values, type_=Listed(), unique=True))


class Listed(sa.TypeDecorator[Collection[Any]]):
    """Ids, texts or numbers, as each database reads them from JSON."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Collection[Any] | None, dialect: sa.Dialect) -> str:
        return json.dumps(list(value or ()), default=_plain)


def _plain(value: uuid.UUID) -> str:
    """As SQLAlchemy has ids stored on SQLite; PostgreSQL reads them in all forms."""
    return value.hex


class Key(sa.TypeDecorator[Any]):
    """An id as the driver gives it, to be compared and handed back: to make a UUID of each takes SQLite longer than
    to find it."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return sa.Uuid() if dialect.name == "postgresql" else sa.CHAR(32)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value.hex if dialect.name == "sqlite" and isinstance(value, uuid.UUID) else value


class Rows:
    """One change or insertion for many rows.

    ``make`` makes the statement from what a row is named by, each of its type.
    """

    def __init__(
        self, types: Mapping[str, sa.types.TypeEngine[Any]],
        make: Callable[[Mapping[str, sa.ColumnElement[Any]]], sa.Update | sa.Insert],
    ) -> None:
        packed = sa.bindparam(_ROWS, type_=sa.Text())
        each = sa.func.json_each(packed).table_valued("value", name=_ROWS).c.value
        columns = (sa.column(name, type_) for name, type_ in types.items())
        typed = sa.func.json_to_recordset(sa.cast(packed, sa.JSON)).table_valued(*columns, name=_ROWS)
        recordset = typed.render_derived(with_types=True)
        self._types = types
        self._values = itemgetter(*types)
        self._statements = {
            "sqlite": make({name: sa.func.json_extract(each, f"$[{place}]") for place, name in enumerate(types)}),
            "postgresql": make({name: recordset.c[name] for name in types}),
        }

    def pack(self, rows: Iterable[Mapping[str, Any]], dialect: sa.Dialect) -> Packed:
        """The rows as `write` takes them: what that costs needs no transaction."""
        is_sqlite = dialect.name == "sqlite"
        columns = zip(*map(self._values, rows), strict=True)
        pairs = zip(self._types.values(), columns, strict=False)
        table = zip(*(_store(type_, values, is_sqlite) for type_, values in pairs), strict=True)
        # Without their names SQLite reads them faster.
        listed = list(table) if is_sqlite else [dict(zip(self._types, row, strict=True)) for row in table]
        return Packed(json.dumps(listed))

    def write(self, tx: sa.Connection, packed: Packed, **common: Any) -> sa.CursorResult[Any]:
        """What is ``common`` to all rows are parameters of the statement's own."""
        return tx.execute(self._statements[tx.dialect.name], {_ROWS: packed, **common})

    def execute(self, tx: sa.Connection, rows: Iterable[Mapping[str, Any]], **common: Any) -> sa.CursorResult[Any]:
        """Both, one after the other."""
        return self.write(tx, self.pack(rows, tx.dialect), **common)


def _store(type_: sa.types.TypeEngine[Any], values: Iterable[Any], is_sqlite: bool) -> Iterable[Any]:
    """A column as each database reads it from JSON; on SQLite as SQLAlchemy has its type stored."""
    if isinstance(type_, sa.Uuid):
        return [value and f"{value.int:032x}" for value in values]
    if isinstance(type_, Instant):
        return [value and _instant(value, is_sqlite) for value in values]
    return values


def _instant(value: datetime, is_sqlite: bool) -> str:
    text = value.astimezone(UTC).isoformat(" ", "microseconds")
    return text[:_WITHOUT_ZONE] if is_sqlite else text


class Gathered:
    """A query whose rows are many, without bytes among them.

    For each row SQLite's driver lets go of the interpreter, and waits until the other threads let go of it in turn:
    so SQLite makes one value of all. The query's order holds: SQLite gathers a subquery's rows as they come.
    """

    def __init__(self, query: sa.Select[Any]) -> None:
        self._query = query
        columns = query.subquery().c
        self._packed = sa.select(sa.func.json_group_array(sa.func.json_array(
            *(sa.type_coerce(column, sa.Text) for column in columns)
        )))
        self._types = [column.type for column in columns]
        self._row: Any = namedtuple("Row", columns.keys())  # type: ignore[misc]

    def fetch(self, tx: sa.Connection, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Rows that know their columns by name, on SQLite each value as its JSON has it: to be read by `read`."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._query, parameters).all()
        return list(map(self._row._make, json.loads(tx.execute(self._packed, parameters).scalar_one())))

    def read(self, fetched: Sequence[Any], dialect: sa.Dialect) -> Sequence[Any]:
        """The same with each value as its column's type has it: what that costs needs no transaction."""
        if dialect.name != "sqlite":
            return fetched
        table = zip(*fetched, strict=True)
        columns = (_read(dialect, type_, values) for type_, values in zip(self._types, table, strict=False))
        return list(map(self._row._make, zip(*columns, strict=True)))

    def execute(self, tx: sa.Connection, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Both, one after the other."""
        return self.read(self.fetch(tx, parameters), tx.dialect)


def _read(dialect: sa.Dialect, type_: sa.types.TypeEngine[Any], values: Iterable[Any]) -> Iterable[Any]:
    """A column, as its type has it."""
    processor = type_.dialect_impl(dialect).result_processor(dialect, None)
    return map(processor, values) if processor else values


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
    type_ = compiler.dialect.type_compiler_instance.process(element.clauses.clauses[0].type)
    listed = f"SELECT CAST(value AS {type_}) FROM json_array_elements_text(CAST({values} AS JSON))"  # noqa: S608
    return f"{column} = ANY (ARRAY({listed}))"
