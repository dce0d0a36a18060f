"""One engine for SQLite and PostgreSQL, and the two kinds of transaction that all SQL runs in."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from service.errors import ConfigurationError, StorageUnavailable
from service.storage import sqlite
from service.storage.sealed import install_vault
from service.storage.watch import GenerationWatch, PostgresWatch, SqliteWatch
from service.vault import Vault

BUSY_SECONDS = 5.0
# Whoever says nothing for so long in the midst of a transaction is frozen, or its machine is gone, and others wait for
# what it has locked: the couriers for their turn. PostgreSQL by itself finds that out after two hours, or never.
SILENT_SECONDS = 30.0
# Seconds of silence after which the network is asked whether the server is still there; else that takes two hours.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}

# In which whoever waits for SQLite looks more than once whether it may write.
GIVE_WAY_SECONDS = 5 * sqlite.LOOK_SECONDS

# SQLSTATE of a server that takes no writes: another has taken its place, or is about to.
_READ_ONLY = "25006"

# What the core passes on to the statements without looking inside.
Transaction = sa.Connection


class Storage:
    """The database. Every statement runs in `read` or `write`; nothing else opens a connection.

    For what another has locked, `busy_seconds` are waited. The `vault` seals and opens secrets; without one none
    can be written. Raises ConfigurationError for a URL that names no database.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS, vault: Vault | None = None) -> None:
        self.url = url
        try:
            self.engine = _make_engine(url, busy_seconds)
        except (ArgumentError, ValueError) as error:
            # The error itself may repeat the password.
            raise ConfigurationError(reason="DIGLOT_DATABASE_URL can't be read as a database's address") from error
        self.vault = vault or Vault(())
        install_vault(self.engine, self.vault)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent snapshot over all its statements. Raises StorageUnavailable."""
        options: dict[str, Any] = {"diglot_read": True}
        if self.engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """All or nothing, kept through a power loss once it returns. Raises StorageUnavailable."""
        with self._transaction({}) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[sa.Connection]:
        try:
            with self.engine.execution_options(**options).begin() as connection:
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise StorageUnavailable(reason=str(error.orig)) from error
        except DBAPIError as error:
            if error.connection_invalidated or getattr(error.orig, "sqlstate", None) == _READ_ONLY:
                raise StorageUnavailable(reason=str(error.orig)) from error
            raise

    def give_way(self) -> None:
        """Let others write: who waits for SQLite stands in no queue, so one that comes back at once is always first."""
        if self.engine.dialect.name == "sqlite":
            time.sleep(GIVE_WAY_SECONDS)

    def migrate(self) -> None:
        """Bring the tables to the newest form; several processes may call it at once."""
        # A quarter of the time in which any of the service's programs starts, and most of them never migrate.
        import alembic.command
        import alembic.config

        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        config = alembic.config.Config()
        config.set_main_option("script_location", "service.storage:migrations")
        with self._transaction({"diglot_migration": True}) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(727164)"))
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
        # On SQLite its connection guards no foreign keys any more.
        self.engine.dispose()

    def compact(self) -> bool:
        """Leave nothing in SQLite's files of rows as they once were; False where it is in use."""
        if self.engine.dialect.name != "sqlite":
            return True
        try:
            with self._transaction({"diglot_bare": True}) as connection:
                connection.exec_driver_sql("VACUUM")
                busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        except StorageUnavailable:
            return False
        return not busy

    def watch_generation(self) -> GenerationWatch:
        return (SqliteWatch if self.engine.dialect.name == "sqlite" else PostgresWatch)(self.engine)

    def close(self) -> None:
        self.engine.dispose()


def _make_engine(url: str, busy_seconds: float) -> sa.Engine:
    try:
        return _open_engine(url, busy_seconds)
    except (ArgumentError, ImportError) as error:
        form = "Write it as postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE."
        raise ConfigurationError(reason=f"DIGLOT_DATABASE_URL can't be used: {error}. {form}") from None


def _open_engine(url: str, busy_seconds: float) -> sa.Engine:
    if not url.startswith("sqlite"):
        said = sa.make_url(url).query
        keepalive = {name: value for name, value in _KEEPALIVE.items() if name not in said}
        engine = sa.create_engine(url, connect_args=keepalive, pool_pre_ping=True, pool_size=10, max_overflow=20)
        sa.event.listen(engine, "connect", functools.partial(_prepare_postgres, busy_seconds))
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": busy_seconds}, pool_size=10, max_overflow=20)
    sqlite.prepare(engine, busy_seconds)
    return engine


def _prepare_postgres(busy_seconds: float, connection: Any, _record: object) -> None:
    # By itself, PostgreSQL waits for a lock for ever.
    connection.execute(f"SET lock_timeout = '{busy_seconds:g}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{SILENT_SECONDS:g}s'")
    connection.commit()
