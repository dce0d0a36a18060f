"""Which generation is out, asked for every request of a feed, and so over a connection of its own without transactions.

Several requests share an answer only if all of them came before the question: who has seen a generation must
not be told of an older one.
"""

from __future__ import annotations

import select
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import psycopg
import psycopg.pq.abc
import sqlalchemy as sa

from service.handover import GoOn, wait_for
from service.storage.commits import Commits, map_commits

# A database that takes longer is as good as away.
PATIENCE_SECONDS = 1.0
# The shortest that libpq knows.
CONNECT_SECONDS = 2

_QUESTION = "SELECT number FROM generations WHERE id = 1"


class GenerationWatch(Protocol):
    async def find_number(self) -> int | None:
        """None before the first swap, and while the database can't be asked."""

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

    async def find_number(self) -> int | None:
        if self._asked_at and self._commits and self._commits.are_all_in(self._asked_at):
            return self._number
        return self._ask()

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
    """A thread asks for all who wait; who comes while a question is under way waits for the next."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._line: _Line | None = None
        self._waiting: SimpleQueue[GoOn | None] = SimpleQueue()
        self._asker: Thread | None = None

    async def find_number(self) -> int | None:
        number: int | None = await wait_for(self._take)
        return number

    def close(self) -> None:
        if self._asker:
            self._waiting.put(None)
            self._asker.join()
        self._asker = None

    def _take(self, go_on: GoOn) -> None:
        self._waiting.put(go_on)
        if self._asker is None:
            self._asker = Thread(target=self._tell_all, name="generation", daemon=True)
            self._asker.start()

    def _tell_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            # All who are in line by now came before the question.
            others = [self._waiting.get() for _ in range(self._waiting.qsize())]
            number = self._ask()
            for go_on in filter(None, (first, *others)):
                go_on(number)
            if None in others:
                break
        self._hang_up()

    def _ask(self) -> int | None:
        try:
            self._line = self._line or self._connect()
            return self._line.ask()
        except (psycopg.Error, OSError):
            self._hang_up()
            return None

    def _connect(self) -> _Line:
        places, options = self._engine.dialect.create_connect_args(self._engine.url)
        connection = psycopg.connect(*places, **{**options, "connect_timeout": CONNECT_SECONDS}, autocommit=True)
        connection.execute(f"PREPARE generation AS {_QUESTION}")
        return _Line(connection)

    def _hang_up(self) -> None:
        if self._line:
            self._line.close()
        self._line = None


class _Line:
    """One question after another over libpq itself, which takes a quarter of the time that a cursor takes."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.close = connection.close
        self._libpq = connection.pgconn
        self._socket = select.poll()
        self._socket.register(self._libpq.socket, select.POLLIN)

    def ask(self) -> int | None:
        """Raises psycopg.Error, also if the connection ended since the last question."""
        self._libpq.send_query_prepared(b"generation", None)
        self._libpq.flush()
        number = None
        while result := self._next_result():
            if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
                raise psycopg.OperationalError(result.get_error_message())
            number = int(result.get_value(0, 0) or b"") if result.ntuples else None
        return number

    def _next_result(self) -> psycopg.pq.abc.PGresult | None:
        while self._libpq.is_busy():
            if not self._socket.poll(PATIENCE_SECONDS * 1000):
                raise psycopg.OperationalError("no answer in time")
            self._libpq.consume_input()
        return self._libpq.get_result()
