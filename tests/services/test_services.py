"""The servers that the tests stand on do what the tests take for granted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from kombu import Connection

from service import broker
from tests.services.postgres import PrivatePostgres, start_postgres
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


def test_a_lent_database_comes_back_empty_whoever_still_holds_it() -> None:
    with start_postgres() as server:
        with server.lend_database() as url:
            engine = sa.create_engine(url)
            forgotten = engine.connect()
            forgotten.execute(sa.text("CREATE TABLE mine (id int)"))
            forgotten.commit()
            forgotten.execute(sa.text("LOCK TABLE mine"))
        with server.lend_database() as again:
            assert again == url
            fresh = sa.create_engine(again)
            assert sa.inspect(fresh).get_table_names() == []
            fresh.dispose()
        forgotten.invalidate()
        forgotten.close()
        engine.dispose()


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
