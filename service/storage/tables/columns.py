"""What all tables share. Times are stored as UTC and come back aware; JSON keeps the order of its keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
})


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no zones, stores it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def id_column() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


# When each of the service's programs was last alive.
heartbeats = sa.Table(
    "heartbeats", metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("beat_at", Instant, nullable=False),
)
