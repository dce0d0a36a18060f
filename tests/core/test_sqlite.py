"""How a writer waits for its turn on SQLite."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.errors import StorageUnavailable
from service.storage import Storage, sqlite

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_who_waits_looks_as_often_after_many_looks_and_begins_with_the_first_that_finds_it_free(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, pauses = Storage(database_url), []
    with holder.engine.connect() as held:
        held.exec_driver_sql("SELECT 1")

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 30:
                held.rollback()

        monkeypatch.setattr(sqlite.time, "sleep", pause)
        with Storage(database_url).write() as tx:
            assert tx.execute(sa.text("SELECT count(*) FROM releases")).scalar_one() == 0
    assert pauses == [sqlite.LOOK_SECONDS] * 30


def test_who_has_waited_long_enough_is_refused(database_url: str) -> None:
    impatient = Storage(database_url, busy_seconds=0)
    with Storage(database_url).write(), pytest.raises(StorageUnavailable, match="locked"), impatient.write():
        pass


def test_a_reader_is_as_patient_as_before_a_write(database_url: str) -> None:
    storage = Storage(database_url, busy_seconds=7)
    with storage.write():
        pass
    with storage.read() as tx:
        assert tx.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 7000
