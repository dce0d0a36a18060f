"""The parts that tests stand on: a real database of either kind, a newsroom, a release, an API."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from flask.testing import FlaskClient

from service import keys
from service.app import create_app
from service.config import Profile, Settings, load_profile, read_settings
from service.edge import Services
from service.model import Role
from service.storage import Storage
from service.vault import Vault
from tests.contract import ContractClient
from tests.services.postgres import Postgres, start_postgres

ROOT = Path(__file__).parent.parent
SECRET_KEY = "YSBrZXkgdGhhdCBvbmx5IHRoZSB0ZXN0cyBrbm93Li4="
VAULT = Vault([SECRET_KEY])


class StoppedClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class RecordingQueue:
    """Keeps the nudges in place of a broker that loses none."""

    def __init__(self) -> None:
        self.nudges: list[str] = []
        self.up = True

    def publish(self) -> None:
        self.nudges.append("publish")

    def deliver(self, couriers: int = 1) -> None:
        self.nudges += ["deliver"] * couriers

    def verify(self) -> None:
        self.nudges.append("verify")

    def notify(self) -> None:
        self.nudges.append("notify")

    def is_up(self) -> bool:
        return self.up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest, and therefore has a time limit of its own, begins first: in the end nobody waits for it."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session")
def workers_app() -> Celery:
    """The Celery application with its tasks; only its import asks for a broker's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGLOT_REDIS_URL", "redis://127.0.0.1:1/0")
        from workers.app import app

        app.loader.import_default_modules()
    return app


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all tests' SQLite databases are copied from, as every migration takes its time."""
    file = tmp_path_factory.mktemp("pattern") / "diglot.sqlite3"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_pattern(postgres: Postgres) -> str:
    _migrate(url := postgres.create_database())
    return url


def _migrate(url: str) -> None:
    storage = Storage(url)
    storage.migrate()
    storage.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a migrated database."""
    with lend_database(request, request.param, tmp_path / "diglot.sqlite3") as url:
        yield url


@contextmanager
def lend_database(request: pytest.FixtureRequest, kind: str, file: Path) -> Iterator[str]:
    """The URL of a migrated database, which is ``file`` where the kind is SQLite."""
    if kind == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_pattern"), file)
        yield f"sqlite:///{file}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.lend_database(request.getfixturevalue("postgres_pattern")) as url:
        yield url


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url, vault=VAULT)
    if storage.engine.dialect.name == "sqlite":
        # Without waiting for the disk, as PostgreSQL's commits here: no test takes the machine's power away.
        sa.event.listen(storage.engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous=OFF"))
    yield storage
    storage.close()


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture(scope="session")
def profile() -> Profile:
    return load_profile(ROOT / "newsroom.json")


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return read_settings({
        "DIGLOT_DATA_DIR": str(tmp_path), "DIGLOT_DATABASE_URL": database_url,
        "DIGLOT_ALLOW_NETWORKS": "127.0.0.0/8", "DIGLOT_SECRET_KEY": SECRET_KEY,
    })


@pytest.fixture
def services(
    settings: Settings, profile: Profile, storage: Storage, queue: RecordingQueue, clock: StoppedClock
) -> Services:
    return Services(settings=settings, profile=profile, storage=storage, queue=queue, clock=clock)  # type: ignore[arg-type]


@pytest.fixture
def client(services: Services) -> FlaskClient:
    app = create_app(services)
    app.test_client_class = ContractClient
    return app.test_client()


@pytest.fixture
def staff(storage: Storage, clock: StoppedClock) -> dict[str, str]:
    """The headers of a staff key."""
    return bearer(keys.make_key(storage, "desk", Role.STAFF, clock())[1])


@pytest.fixture
def admin(storage: Storage, clock: StoppedClock) -> dict[str, str]:
    """The headers of an admin key."""
    return bearer(keys.make_key(storage, "boss", Role.ADMIN, clock())[1])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def release_document() -> dict[str, Any]:
    """The shipped example, fresh for each test, without its slug so that it can be posted again."""
    document: dict[str, Any] = json.loads((ROOT / "examples/release.json").read_text("utf-8"))
    del document["slug"]
    return document
