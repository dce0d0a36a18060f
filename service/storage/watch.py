"""Which generation is out, asked for every request of a feed, and so over a connection of its own without transactions.

Several requests share an answer only if all of them came before the question: who has seen a generation must
not be told of an older one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa

# A database that takes longer is as good as away.
PATIENCE_SECONDS = 1.0

_QUESTION = "SELECT number FROM generations WHERE id = 1"


class GenerationWatch(Protocol):
    """For one event loop."""

    async def find_number(self) -> int | None:
        """None before the first swap, and while the database can't be asked."""

    async def close(self) -> None: ...


class SqliteWatch:
    """SQLite answers in microseconds, so the event loop waits: to change threads would cost several times as much."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._number: int | None = None
        self._is_fresh = False

    async def find_number(self) -> int | None:
        # All that are in the loop's queue now came before this; what comes from now on queues behind `_expire`.
        if not self._is_fresh:
            self._number, self._is_fresh = self._ask(), True
            asyncio.get_running_loop().call_soon(self._expire)
        return self._number

    async def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _expire(self) -> None:
        self._is_fresh = False

    def _ask(self) -> int | None:
        dbapi = self._engine.dialect.loaded_dbapi
        try:
            self._connection = self._connection or self._connect(dbapi)
            return _number(self._connection.execute(_QUESTION).fetchall())
        except dbapi.Error:
            return None

    def _connect(self, dbapi: Any) -> Any:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        # Nobody locks readers out for long, and the event loop must not wait for who does.
        return dbapi.connect(*places, **options | {"timeout": 0, "isolation_level": None})


class PostgresWatch:
    """The event loop does other things meanwhile; who comes while a question is under way waits for the next."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: psycopg.AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[int | None] | None = None

    async def find_number(self) -> int | None:
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
        # A reader that goes away takes nobody else's answer along.
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def _ask(self) -> int | None:
        async with self._turn:
            self._next = None
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self._connection = self._connection or await self._connect()
                    cursor = await self._connection.execute(_QUESTION, prepare=True)
                    return _number(await cursor.fetchall())
            except (psycopg.Error, TimeoutError):
                await self.close()
                return None

    async def _connect(self) -> psycopg.AsyncConnection:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        return await psycopg.AsyncConnection.connect(*places, **options, autocommit=True)


def _number(rows: Sequence[tuple[int]]) -> int | None:
    return rows[0][0] if rows else None
