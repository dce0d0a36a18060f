"""The servers that the tests stand on do what the tests take for granted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kombu import Connection

from service import broker
from tests.services.postgres import Postgres, PrivatePostgres, start_postgres
from tests.services.valkey import Valkey, start_valkey

HEADLINE = "上海合作组织峰会：中方发言人答记者问"


def test_postgres_keeps_committed_chinese_text_over_a_restart() -> None:
    with start_postgres() as server:
        engine = sa.create_engine(server.create_database(), pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE kept (headline text)"))
            connection.execute(sa.text("INSERT INTO kept VALUES (:headline)"), {"headline": HEADLINE})
        if isinstance(server, PrivatePostgres):
            server.restart()
        with engine.begin() as connection:
            assert connection.scalar(sa.text("SELECT headline FROM kept")) == HEADLINE
        engine.dispose()


def test_each_postgres_database_is_its_own() -> None:
    with start_postgres() as server:
        engines = [sa.create_engine(server.create_database()) for _ in range(2)]
        with engines[0].begin() as connection:
            connection.execute(sa.text("CREATE TABLE mine (id int)"))
        assert [sa.inspect(engine).get_table_names() for engine in engines] == [["mine"], []]
        for engine in engines:
            engine.dispose()


@pytest.fixture(scope="module")
def lender() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def template(lender: Postgres) -> str:
    url = lender.create_database()
    run(url, "CREATE TABLE mine (id int)")
    return url


def run(url: str, statement: str) -> Any:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalars().all() if result.returns_rows else None


def test_a_lent_database_comes_back_empty_whoever_still_holds_it(lender: Postgres, template: str) -> None:
    with lender.lend_database(template) as url:
        engine = sa.create_engine(url)
        forgotten = engine.connect()
        forgotten.exec_driver_sql("INSERT INTO mine VALUES (1)")
        forgotten.commit()
        forgotten.exec_driver_sql("LOCK TABLE mine")
    with lender.lend_database(template) as again:
        assert again == url
        assert run(again, "SELECT id FROM mine") == []
    forgotten.invalidate()
    forgotten.close()
    engine.dispose()


@pytest.mark.parametrize("statement", ["INSERT INTO mine SELECT generate_series(1, 3000)", "ANALYZE mine"])
def test_where_queries_would_be_planned_otherwise_a_new_copy_is_lent(
    lender: Postgres, template: str, statement: str
) -> None:
    with lender.lend_database(template) as url:
        run(url, statement)
    with lender.lend_database(template) as fresh:
        assert url not in (fresh, template)
        assert run(fresh, "SELECT id FROM mine") == []
        assert sa.make_url(url).database not in run(fresh, "SELECT datname FROM pg_database")


def test_valkey_keeps_what_it_acknowledged_over_a_kill() -> None:
    with start_valkey() as server:
        with server.connect() as client:
            client.rpush("deliver", HEADLINE)
        server.kill()
        server.start()
        with server.connect() as client:
            assert client.lrange("deliver", 0, -1) == [HEADLINE]


def test_a_flushed_valkey_holds_nothing() -> None:
    with start_valkey() as server, server.connect() as client:
        client.set("task", "1")
        server.flush()
        assert client.dbsize() == 0


def test_a_frozen_valkey_answers_only_when_thawed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "PING_SECONDS", 0.2)
    with start_valkey() as server:
        server.freeze()
        assert not broker.answers(server.socket)
        server.thaw()
        assert broker.answers(server.socket)


def test_a_frozen_valkey_can_be_restarted() -> None:
    with start_valkey() as server:
        server.freeze()
        server.restart()
        assert broker.answers(server.socket)


def test_only_this_user_reaches_the_socket_and_no_port_is_open() -> None:
    with start_valkey() as server:
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
        with server.connect() as client:
            config = client.config_get("port", "appendonly", "appendfsync", "save", "maxmemory-policy")
    assert config == {
        "port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": "",
        "maxmemory-policy": "noeviction",
    }


@pytest.mark.parametrize("name", ["新 闻%20?x", "long" * 30])
def test_any_name_of_the_data_folder_makes_a_url_that_celery_reaches(tmp_path: Path, name: str) -> None:
    with broker.private_socket(tmp_path / name) as socket:
        assert len(os.fsencode(socket)) <= broker.MAX_SOCKET_PATH_BYTES
        server = Valkey(tmp_path / name, socket)
        server.start()
        try:
            with Connection(server.url) as connection:
                connection.SimpleQueue("deliver").put({"id": 1})
                assert connection.SimpleQueue("deliver").get(timeout=5).payload == {"id": 1}
        finally:
            server.stop()
    assert not socket.exists()
