"""Many rows at once are what they are one by one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from service.model import Secret
from service.storage import Storage
from service.storage.sealed import Sealed
from service.storage.sets import Gathered, Rows
from service.storage.tables.columns import Instant

VALUES: tuple[tuple[Any, sa.types.TypeEngine[Any]], ...] = (
    (uuid.UUID(int=7), sa.Uuid()),
    (datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), Instant()),
    (datetime(2026, 2, 3, 4, 5, 6, 700, tzinfo=UTC), Instant()),
    (Secret("whsec_" + "k" * 40), Sealed()),
    ({"site": "https://湖.example", "ids": [1, None]}, sa.JSON()),
    ("“新华社”\n\x01\\ \"quoted\" 🙂", sa.Text()),
    ("", sa.Text()),
    (2**40, sa.BigInteger()),
    (True, sa.Boolean()),
)


@pytest.mark.parametrize(("value", "type_"), VALUES)
def test_what_is_gathered_is_what_its_column_has(storage: Storage, value: Any, type_: sa.types.TypeEngine[Any]) -> None:
    """Also where there is nothing, and in the query's order."""
    table = sa.table("gathered", sa.column("place", sa.Integer), sa.column("value", type_))
    with storage.write() as tx:
        typed = type_.compile(tx.dialect)
        tx.execute(sa.text(f"CREATE TEMPORARY TABLE gathered (place INTEGER, value {typed})"))
        tx.execute(table.insert(), [{"place": place, "value": value if place % 2 else None} for place in range(1, 6)])
        query = sa.select(table).order_by(table.c.place.desc())
        rows = Gathered(query).execute(tx, {})
        assert [tuple(row) for row in rows] == [tuple(row) for row in tx.execute(query)]
        assert [row.value is None for row in rows] == [False, True, False, True, False]


def test_none_are_gathered_where_there_are_none(storage: Storage) -> None:
    query = sa.select(sa.literal(1).label("one"), sa.literal("x").label("other")).where(sa.false())
    with storage.read() as tx:
        assert not Gathered(query).execute(tx, {})


STORED: tuple[tuple[Any, sa.types.TypeEngine[Any]], ...] = (
    (uuid.UUID(int=7), sa.Uuid()),
    (datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), Instant()),
    (datetime(2026, 2, 3, 4, 5, 6, 700, tzinfo=timezone(timedelta(hours=8))), Instant()),
    ({"site": "https://湖.example", "ids": [1, None]}, sa.JSON(none_as_null=True)),
    ("“新华社”\n\x01\\ \"quoted\" 🙂", sa.Text()),
    ("", sa.Text()),
    (2**31 - 1, sa.Integer()),
)


@pytest.mark.parametrize(("value", "type_"), STORED)
def test_what_is_packed_is_stored_as_by_itself(storage: Storage, value: Any, type_: sa.types.TypeEngine[Any]) -> None:
    """Also where there is nothing, and of no rows nothing."""
    table = sa.table("packed", sa.column("place", sa.Integer), sa.column("value", type_))
    rows = Rows({"place": sa.Integer(), "value": type_}, lambda row: table.insert().from_select(
        list(row), sa.select(*row.values())
    ))
    values = [value, None, value]
    with storage.write() as tx:
        typed = type_.compile(tx.dialect)
        tx.execute(sa.text(f"CREATE TEMPORARY TABLE packed (place INTEGER, value {typed})"))
        rows.execute(tx, [])
        rows.execute(tx, [{"place": place, "value": each} for place, each in enumerate(values)])
        tx.execute(table.insert(), [{"place": place + 3, "value": each} for place, each in enumerate(values)])
        raw = sa.text("SELECT CAST(value AS TEXT) FROM packed ORDER BY place")
        packed, alone = [[*tx.execute(raw).scalars()][start:start + 3] for start in (0, 3)]
        assert [each and "".join(each.split()) for each in packed] == [each and "".join(each.split()) for each in alone]
        read = tx.execute(sa.select(table.c.value).order_by(table.c.place)).scalars().all()
    assert read == [*values, *values]
