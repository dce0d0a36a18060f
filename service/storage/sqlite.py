"""How transactions begin on SQLite, where one writes at a time and who waits stands in no queue."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from typing import Any

import sqlalchemy as sa

from service.errors import StorageUnavailable

# SQLite by itself looks ever more seldom, every 100 ms in the end, and is passed by those who have just come.
LOOK_SECONDS = 0.002


def prepare(engine: sa.Engine, busy_seconds: float) -> None:
    """Have its transactions begin as `Storage.read`, `write` and their kin ask for in their options."""
    sa.event.listen(engine, "connect", _prepare_connection)
    sa.event.listen(engine, "begin", partial(_begin, busy_seconds))


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN comes too late to choose its kind.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(busy_seconds: float, connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("diglot_bare"):
        return
    if options.get("diglot_migration"):
        # SQLite changes a table by making it anew, and would not let go of one that others refer to.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    if options.get("diglot_read"):
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_to_write(connection.connection.driver_connection, busy_seconds)


def _begin_to_write(driver: Any, busy_seconds: float) -> None:
    """A deferred transaction that reads and then writes would fail at once when another writer came between.

    Raises StorageUnavailable.
    """
    until = time.monotonic() + busy_seconds
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while not driver.in_transaction:
            _try_to_begin(driver, time.monotonic() < until)
    finally:
        driver.execute(f"PRAGMA busy_timeout={busy_seconds * 1000:.0f}")


def _try_to_begin(driver: sqlite3.Connection, may_wait: bool) -> None:
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not may_wait:
            raise StorageUnavailable(reason=str(error)) from error
        time.sleep(LOOK_SECONDS)
