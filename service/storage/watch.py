"""Which generation is out, asked for every request of a feed, and so over a connection of its own without transactions.

Several requests share an answer only if all of them came before the question: who has seen a generation must
not be told of an older one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import psycopg
import psycopg.pq.abc
import sqlalchemy as sa

from service.storage.commits import Commits, map_commits

log = logging.getLogger(__name__)

# A database that takes longer is as good as away.
PATIENCE_SECONDS = 1.0
# The shortest that libpq knows.
CONNECT_SECONDS = 2

_QUESTION = "SELECT number FROM generations WHERE id = 1"

# None before the first swap, and while the database can't be asked.
Tell = Callable[[int | None], object]


class GenerationWatch(Protocol):
    def look(self) -> int | None:
        """The generation's number if that can be told at once; for None see `ask`."""

    def ask(self, tell: Tell) -> None:
        """``tell`` gets the generation's number, now or later, in the event loop that asks."""

    def close(self) -> None: ...


class SqliteWatch:
    """SQLite answers in microseconds, so whoever asks waits: to change threads would take several times as long.

    While nobody has written since the last question, its answer stands and SQLite is not even asked.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._commits: Commits | None = None
        self._asked_at: bytes | None = None
        self._number: int | None = None

    def look(self) -> int | None:
        if self._asked_at and self._commits and self._commits.are_all_in(self._asked_at):
            return self._number
        return self._ask()

    def ask(self, tell: Tell) -> None:
        tell(self.look())

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = self._commits = self._asked_at = None

    def _ask(self) -> int | None:
        dbapi = self._engine.dialect.loaded_dbapi
        try:
            self._connection = self._connection or self._connect(dbapi)
            asked_at = self._commits.read() if self._commits else None
            rows = self._connection.execute(_QUESTION).fetchall()
        except dbapi.Error:
            self._asked_at = None
            return None
        # Not before the question: from then on nobody puts another file in its place.
        self._commits = self._commits or map_commits(f"{self._engine.url.database}-shm")
        self._asked_at, self._number = asked_at, rows[0][0] if rows else None
        return self._number

    def _connect(self, dbapi: Any) -> Any:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        # Nobody locks readers out for long, and one thread that must not wait asks for all requests.
        return dbapi.connect(*places, **{**options, "timeout": 0, "isolation_level": None})


class PostgresWatch:
    """One question at a time for all who wait; who comes while it is under way waits for the next."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._line: _Line | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._waiting: list[Tell] = []
        self._asking: list[Tell] = []
        self._is_busy = False

    def look(self) -> None:
        return None

    def ask(self, tell: Tell) -> None:
        self._waiting.append(tell)
        if not self._is_busy:
            self._is_busy = True
            # All whose requests the loop finds in this turn share the question.
            asyncio.get_running_loop().call_soon(self._go_on)

    def close(self) -> None:
        if self._dialling:
            self._dialling.cancel()
        if self._line:
            self._line.close()

    def _go_on(self) -> None:
        self._asking, self._waiting = self._waiting, []
        self._is_busy = bool(self._asking)
        if self._is_busy and self._line and not self._line.is_closed:
            self._line.ask()
        elif self._is_busy:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())

    def _tell(self, number: int | None) -> None:
        loop, told, self._asking = asyncio.get_running_loop(), self._asking, []
        for tell in told:
            loop.call_soon(tell, number)
        # A turn of the loop later, so that those share the next question who come while these are answered.
        loop.call_soon(loop.call_soon, self._go_on)

    async def _dial(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._line = _Line(await self._connect(), self._tell)
        except Exception as error:
            if not isinstance(error, (psycopg.Error, OSError)):
                log.exception("PostgreSQL can't be asked for the generation")
            # Whatever it was, those who wait must not wait for ever.
            self._tell(None)
        else:
            self._line.ask()

    async def _connect(self) -> psycopg.AsyncConnection:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        return await psycopg.AsyncConnection.connect(*places, **{**options, "connect_timeout": CONNECT_SECONDS})


class _Line:
    """One question after another over libpq itself, which takes a quarter of the time that a cursor takes.

    ``tell`` is called once for each, with None if the connection ended or took too long; then it is closed.
    """

    def __init__(self, connection: psycopg.AsyncConnection, tell: Tell) -> None:
        self.is_closed, self._is_prepared = False, False
        # It would close what it isn't held for.
        self._connection, self._libpq, self._tell = connection, connection.pgconn, tell
        self._loop, self._socket = asyncio.get_running_loop(), connection.pgconn.socket
        self._patience: asyncio.TimerHandle | None = None
        self._number: int | None = None
        self._loop.add_reader(self._socket, self._read)

    def ask(self) -> None:
        self._number, self._patience = None, self._loop.call_later(PATIENCE_SECONDS, self.close)
        try:
            if self._is_prepared:
                self._libpq.send_query_prepared(b"generation", None)
            else:
                self._libpq.send_query(b"PREPARE generation AS %s; EXECUTE generation" % _QUESTION.encode())
            self._libpq.flush()
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._loop.remove_reader(self._socket)
            self._libpq.finish()
            self._end(None)

    def _read(self) -> None:
        try:
            self._libpq.consume_input()
            while self._patience and not self._libpq.is_busy():
                self._take(self._libpq.get_result())
        except psycopg.Error:
            self.close()

    def _take(self, result: psycopg.pq.abc.PGresult | None) -> None:
        """Raises psycopg.Error, also if the connection ended since the last question."""
        if result is None:
            self._is_prepared = True
            self._end(self._number)
        elif result.status not in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK):
            raise psycopg.OperationalError(result.get_error_message())
        elif result.ntuples:
            self._number = int(result.get_value(0, 0) or b"")

    def _end(self, number: int | None) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None
            self._tell(number)
