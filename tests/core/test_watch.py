"""Nobody is told of an older generation than was out when they asked."""

from __future__ import annotations

import ast
import asyncio
import gc
import multiprocessing
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from service.config import Profile
from service.model import Draft
from service.publishing import publish_due
from service.storage import GenerationWatch, Storage
from service.storage import watch as watch_module
from service.storage.commits import Commits, map_commits
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.core.counter import count_up
from tests.core.test_publishing import accept
from tests.hatches import ask
from tests.services.postgres import PrivatePostgres, start_postgres

Swap = Callable[[], int]


@pytest.fixture
def draft(release_document: dict[str, object], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


@pytest.fixture
def swap(storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft) -> Swap:
    numbers = iter(range(1, 100))

    def swap() -> int:
        clock.advance(seconds=1)
        accept(storage, draft, clock)
        assert publish_due(storage, profile, clock).count == 1
        return next(numbers)

    return swap


def run(storage: Storage, test: Callable[[GenerationWatch], Awaitable[None]]) -> None:
    faults: list[object] = []

    async def watching() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        watch = storage.watch_generation()
        try:
            await test(watch)
        finally:
            watch.close()

    asyncio.run(watching())
    assert faults == []


def test_who_asks_after_a_swap_is_told_of_it(storage: Storage, swap: Swap) -> None:
    async def test(watch: GenerationWatch) -> None:
        assert await asyncio.create_task(ask(watch)) is None
        for _ in range(5):
            number = swap()
            asked = [asyncio.create_task(ask(watch)) for _ in range(3)]
            assert await asyncio.gather(*asked) == [number] * 3

    run(storage, test)


def test_who_comes_while_another_is_asking_is_not_told_the_others_answer(
    storage: Storage, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap falls between the database's answer and the telling."""
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite each asks for itself")
    held: list[Callable[[], None]] = []
    answered, tell = asyncio.Event(), watch_module.PostgresWatch._tell

    def tell_the_first_late(watch: watch_module.PostgresWatch, number: int | None) -> None:
        if held:
            tell(watch, number)
        else:
            held.append(partial(tell, watch, number))
            answered.set()

    monkeypatch.setattr(watch_module.PostgresWatch, "_tell", tell_the_first_late)

    async def test(watch: GenerationWatch) -> None:
        before = swap()
        others = [asyncio.create_task(ask(watch)) for _ in range(2)]
        await asyncio.wait_for(answered.wait(), 20)
        after = swap()
        late = asyncio.create_task(ask(watch))
        await asyncio.sleep(0)
        held[0]()
        assert await asyncio.gather(*others) == [before] * 2
        assert await late == after

    run(storage, test)


def test_who_gives_up_takes_nobody_elses_answer_along(storage: Storage, swap: Swap) -> None:
    async def test(watch: GenerationWatch) -> None:
        number = swap()
        asked = [asyncio.create_task(ask(watch)) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        assert await asyncio.gather(*asked[1:]) == [number] * 2

    run(storage, test)


def test_those_who_come_one_after_another_ask_over_one_connection(storage: Storage, swap: Swap) -> None:
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("SQLite answers before the next can come")

    async def test(watch: GenerationWatch) -> None:
        number = swap()
        asked = []
        for _ in range(10):
            asked.append(asyncio.create_task(ask(watch)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*asked) == [number] * 10
        with storage.read() as tx:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            asking = tx.exec_driver_sql(f"{count} AND query LIKE 'PREPARE generation%%'").scalar_one()
        assert asking == 1

    run(storage, test)


def test_what_another_process_has_committed_is_told_by_the_next_question(tmp_path: Path) -> None:
    database = tmp_path / "diglot.sqlite3"
    storage = Storage(f"sqlite:///{database}")
    storage.migrate()
    with storage.write() as tx:
        tx.exec_driver_sql("INSERT INTO generations VALUES (1, 1, '', '2026-11-24', 0, '2026-11-24', '2026-11-24')")
    spawn = multiprocessing.get_context("spawn")
    committed, told = spawn.Value("q", 1), spawn.Value("q", 0)
    writer = spawn.Process(target=count_up, args=(database, 1000, committed, told))

    async def test(watch: GenerationWatch) -> None:
        while told.value < 1000:
            least = max(told.value, committed.value)
            told.value = await ask(watch) or 0
            assert told.value >= least

    writer.start()
    try:
        run(storage, test)
    finally:
        writer.kill()
        writer.join()
    storage.close()


def test_the_memory_that_is_looked_into_is_that_of_the_open_database(
    storage: Storage, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leaves a database last takes the shared memory along, and who comes next makes another."""
    if storage.engine.dialect.name != "sqlite":
        pytest.skip("of PostgreSQL no memory is looked into")

    def map_as_the_others_leave(path: str) -> Commits | None:
        commits = map_commits(path)
        storage.close()
        return commits

    monkeypatch.setattr(watch_module, "map_commits", map_as_the_others_leave)

    async def test(watch: GenerationWatch) -> None:
        for _ in range(2):
            number = swap()
            assert [await ask(watch) for _ in range(3)] == [number] * 3
            number = swap()
            assert [await ask(watch) for _ in range(3)] == [number] * 3
            watch.close()

    run(storage, test)


def test_while_nobody_writes_sqlite_is_not_even_asked(
    storage: Storage, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    if storage.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL shares no memory with us")

    async def test(watch: GenerationWatch) -> None:
        number = swap()
        assert [await ask(watch) for _ in range(3)] == [number] * 3
        monkeypatch.setattr(watch_module.SqliteWatch, "_ask", pytest.fail)
        assert await ask(watch) == number

    run(storage, test)


@pytest.mark.parametrize("places", [(0, 48), (50,)], ids=["of another format", "half written"])
def test_a_header_that_is_not_understood_is_not_relied_on(tmp_path: Path, places: tuple[int, ...]) -> None:
    index = tmp_path / "index"
    copy = (3007000).to_bytes(4, sys.byteorder) + bytes(44)
    index.write_bytes(copy * 2)
    commits = map_commits(str(index))
    assert commits and commits.read() == copy * 2
    with index.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(b"?")
    assert commits.read() is None


def test_looking_into_the_shared_memory_costs_the_process_none_of_its_locks(tmp_path: Path) -> None:
    """A reader's lock keeps the log that it reads from being emptied."""
    storage = Storage(f"sqlite:///{tmp_path}/diglot.sqlite3")
    storage.migrate()

    async def test(watch: GenerationWatch) -> None:
        for _ in range(2):
            await ask(watch)

    with storage.write() as tx:
        tx.exec_driver_sql("INSERT INTO generations VALUES (1, 1, '', '2026-11-24', 0, '2026-11-24', '2026-11-24')")
    with storage.read() as reader:
        reader.exec_driver_sql("SELECT * FROM generations").all()
        run(storage, test)
        gc.collect()
        empty = (
            "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], timeout=0); "
            "print(*connection.execute('PRAGMA wal_checkpoint(TRUNCATE)'))"
        )
        command = [sys.executable, "-c", empty, str(tmp_path / "diglot.sqlite3")]
        busy, *_ = ast.literal_eval(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    storage.close()
    assert busy


def test_without_its_shared_memory_there_is_nothing_to_look_into(tmp_path: Path) -> None:
    assert map_commits(str(tmp_path / "none")) is None
    (tmp_path / "short").write_bytes(b"?")
    assert map_commits(str(tmp_path / "short")) is None


def test_a_locked_file_is_no_answer_until_it_is_unlocked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/diglot.sqlite3"
    storage = Storage(url)
    storage.migrate()
    storage.close()

    async def test(watch: GenerationWatch) -> None:
        blocker = sqlite3.connect(tmp_path / "diglot.sqlite3", isolation_level=None)
        blocker.execute("PRAGMA locking_mode=EXCLUSIVE")
        blocker.execute(
            "INSERT INTO generations VALUES (1, 7, '', '2026-11-24', 0, '2026-11-24', '2026-11-24')"
        )
        assert await asyncio.create_task(ask(watch)) is None
        blocker.close()
        assert await asyncio.create_task(ask(watch)) == 7

    run(storage, test)


def test_a_server_that_is_away_is_no_answer_until_it_is_back() -> None:
    with start_postgres() as server:
        if not isinstance(server, PrivatePostgres):
            pytest.skip("TEST_DATABASE_URL names a server that isn't ours to stop")
        storage = Storage(server.create_database())
        storage.migrate()

        async def test(watch: GenerationWatch) -> None:
            with storage.write() as tx:
                tx.exec_driver_sql("INSERT INTO generations VALUES (1, 7, '', now(), 0, now(), now())")
            assert await ask(watch) == 7
            server.stop()
            assert await ask(watch) is None
            server.start()
            assert await ask(watch) == 7

        run(storage, test)
        storage.close()


def test_a_server_that_does_not_answer_in_time_is_as_good_as_away(
    storage: Storage, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets nobody lock readers out once they are in")
    monkeypatch.setattr(watch_module, "PATIENCE_SECONDS", 0.2)

    async def test(watch: GenerationWatch) -> None:
        number = swap()
        assert await ask(watch) == number
        with storage.write() as tx:
            tx.exec_driver_sql("LOCK TABLE generations IN ACCESS EXCLUSIVE MODE")
            # Over the line that was, and over a new one.
            assert [await ask(watch) for _ in range(3)] == [None] * 3
        assert await ask(watch) == number

    run(storage, test)


def test_whatever_goes_wrong_while_connecting_nobody_waits_for_ever(
    storage: Storage, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("SQLite needs no connection")

    async def test(watch: GenerationWatch) -> None:
        number = swap()
        with monkeypatch.context() as broken:
            broken.setattr(watch_module.psycopg, "AsyncConnection", None)
            assert await ask(watch) is None
        assert await ask(watch) == number

    run(storage, test)
