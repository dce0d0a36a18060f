"""Which generation is out, asked for every request of a feed, and so over a connection of its own without transactions.

Several requests share an answer only if all of them came before the question: who has seen a generation must
not be told of an older one.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import psycopg
import psycopg.pq.abc
import sqlalchemy as sa

from service.handover import reach_loop

# A database that takes longer is as good as away.
PATIENCE_SECONDS = 1.0

_QUESTION = "SELECT number FROM generations WHERE id = 1"


class GenerationWatch(Protocol):
    """For one event loop."""

    async def find_number(self) -> int | None:
        """None before the first swap, and while the database can't be asked."""

    async def close(self) -> None: ...


class SqliteWatch:
    """SQLite answers in microseconds, so whoever asks waits: to change threads would take several times as long."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: Any = None

    async def find_number(self) -> int | None:
        dbapi = self._engine.dialect.loaded_dbapi
        try:
            self._connection = self._connection or self._connect(dbapi)
            rows = self._connection.execute(_QUESTION).fetchall()
            return rows[0][0] if rows else None
        except dbapi.Error:
            return None

    async def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _connect(self, dbapi: Any) -> Any:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        # Nobody locks readers out for long, and one thread that must not wait asks for all requests.
        return dbapi.connect(*places, **options | {"timeout": 0, "isolation_level": None})


class PostgresWatch:
    """The event loop does other things meanwhile; who comes while a question is under way waits for the next."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._line: _Line | None = None
        self._waiting: list[asyncio.Future[int | None]] = []
        self._asking: asyncio.Task[None] | None = None

    async def find_number(self) -> int | None:
        await reach_loop()
        told = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        if self._asking is None:
            self._asking = asyncio.create_task(self._tell_all())
        number: int | None = await told
        return number

    async def close(self) -> None:
        line, self._line = self._line, None
        if line:
            await line.close()

    async def _tell_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            number = await self._ask()
            for told in waiting:
                # Its reader may have gone away.
                if not told.done():
                    told.set_result(number)
        self._asking = None

    async def _ask(self) -> int | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self._line = self._line or await self._connect()
                return await self._line.ask()
        except (psycopg.Error, OSError):
            await self.close()
            return None

    async def _connect(self) -> _Line:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        connection = await psycopg.AsyncConnection.connect(*places, **options, autocommit=True)
        await connection.execute(f"PREPARE generation AS {_QUESTION}")
        return _Line(connection)


class _Line:
    """One question after another over libpq itself, which takes a quarter of the time that a cursor takes."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection, self._libpq = connection, connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._libpq.socket
        self._told: asyncio.Future[int | None] | None = None
        self._loop.add_reader(self._socket, self._hear)

    async def ask(self) -> int | None:
        """Raises psycopg.Error, also if the connection ended since the last question."""
        self._told = self._loop.create_future()
        self._libpq.send_query_prepared(b"generation", None)
        self._libpq.flush()
        return await self._told

    async def close(self) -> None:
        self._loop.remove_reader(self._socket)
        await self._connection.close()

    def _hear(self) -> None:
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy() and (result := self._libpq.get_result()):
                self._tell(result)
        except psycopg.Error as error:
            # A dead socket always has something to hear.
            self._loop.remove_reader(self._socket)
            if self._told and not self._told.done():
                self._told.set_exception(error)

    def _tell(self, result: psycopg.pq.abc.PGresult) -> None:
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.get_error_message())
        if self._told and not self._told.done():
            self._told.set_result(int(result.get_value(0, 0) or b"") if result.ntuples else None)
