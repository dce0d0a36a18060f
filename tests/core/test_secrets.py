"""What lies in the database reveals no secret; `diglot rotate-secrets` brings all of them under the newest key."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.errors import SecretUnreadable
from service.storage import Storage, claims, resealing
from service.storage import subscriptions as stored
from service.storage.tables import subscriptions as table
from service.vault import Vault
from tests.conftest import SECRET_KEY, VAULT, StoppedClock
from tests.test_cli import diglot
from tests.test_vault import make_key

Headers = dict[str, str]
ORDER: dict[str, Any] = {
    "partner": "Daily", "channel": "webhook", "callback": "https://daily.example/hook", "languages": ["en"],
}


def order(client: FlaskClient, staff: Headers, count: int = 1) -> list[str]:
    return [client.post("/v1/subscriptions", json=ORDER, headers=staff).json["secret"] for _ in range(count)]


def dump(storage: Storage, folder: Path) -> bytes:
    """All that the database is: SQLite's files as they lie there, every row of PostgreSQL's tables."""
    if storage.engine.dialect.name == "sqlite":
        return b"".join(path.read_bytes() for path in sorted(folder.glob("diglot.sqlite3*")))
    with storage.read() as tx:
        tables = sa.inspect(tx).get_table_names()
        rows = (tx.exec_driver_sql(f'SELECT t::text FROM "{name}" t').scalars() for name in tables)
        return "\n".join(text for found in rows for text in found).encode()


def spoil(storage: Storage, secret: str) -> None:
    """As it was stored before there were keys."""
    with storage.write() as tx:
        tx.execute(sa.text("UPDATE subscriptions SET secret = :secret").bindparams(secret=secret))


def secrets_of(storage: Storage) -> list[str]:
    with storage.read() as tx:
        return [each.secret.reveal() for each in reversed(stored.list_subscriptions(tx, limit=9))]


def test_a_dump_of_the_database_reveals_no_secret(
    client: FlaskClient, staff: Headers, storage: Storage, tmp_path: Path
) -> None:
    [secret] = order(client, staff)
    client.post(f"/v1/subscriptions/{client.get('/v1/subscriptions', headers=staff).json['items'][0]['id']}/test",
                headers=staff)
    kept = dump(storage, tmp_path)
    assert b"daily.example" in kept and b"sealed:" in kept
    assert secret.removeprefix("whsec_").encode() not in kept and SECRET_KEY.encode() not in kept
    assert secrets_of(storage) == [secret]


def test_a_plain_secret_is_read_and_sealed_when_it_is_next_written(
    client: FlaskClient, staff: Headers, storage: Storage
) -> None:
    order(client, staff)
    spoil(storage, "whsec_old")
    [item] = client.get("/v1/subscriptions", headers=staff).json["items"]
    client.patch(f"/v1/subscriptions/{item['id']}", json={"languages": ["zh-Hans"]}, headers=staff)
    assert secrets_of(storage) == ["whsec_old"]
    assert resealing.count_stale(storage) == 0


def test_rotation_brings_all_under_the_newest_key_and_leaves_nothing_plain(
    client: FlaskClient, staff: Headers, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "BATCH", 2)
    order(client, staff, 5)
    spoil(storage, "whsec_plain")
    rotated = Storage(storage.url, vault=Vault([new := make_key(), SECRET_KEY]))
    assert resealing.count_stale(rotated) == 5
    assert [batch.sealed for batch in resealing.reseal(rotated)] == [2, 2, 1]
    assert (resealing.count_stale(rotated), resealing.count_lost(rotated)) == (0, 0)
    assert rotated.compact()
    assert b"whsec_plain" not in dump(rotated, tmp_path)
    rotated.close()
    newest = Storage(storage.url, vault=Vault([new]))
    assert secrets_of(newest) == ["whsec_plain"] * 5
    newest.close()


def test_a_rotation_that_was_stopped_goes_on_where_it_was(
    client: FlaskClient, staff: Headers, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "BATCH", 2)
    secrets = order(client, staff, 5)
    rotated = Storage(storage.url, vault=Vault([make_key(), SECRET_KEY]))
    next(resealing.reseal(rotated))
    assert resealing.count_stale(rotated) == 3
    assert sum(batch.sealed for batch in resealing.reseal(rotated)) == 3
    assert secrets_of(rotated) == secrets
    rotated.close()


def test_a_secret_whose_key_is_missing_is_left_and_told_and_harms_no_other(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock
) -> None:
    order(client, staff, 2)
    [first, second] = client.get("/v1/subscriptions", headers=staff).json["items"]
    with storage.write() as tx:
        lost = Vault([make_key()]).seal("whsec_lost")
        tx.execute(sa.text("UPDATE subscriptions SET secret = :lost WHERE callback <> ''").bindparams(lost=lost))
    secret = client.post("/v1/subscriptions", json=ORDER, headers=staff).json["secret"]
    assert resealing.count_lost(storage) == 2
    assert [(batch.sealed, batch.lost) for batch in resealing.reseal(storage)] == [(0, 2)]
    for subscription in (first, second, *client.get("/v1/subscriptions", headers=staff).json["items"][:1]):
        assert client.post(f"/v1/subscriptions/{subscription['id']}/test", headers=staff).status_code == 202
    with storage.write() as tx:
        held = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock()).read()
    readable = [claim.secret for claim in held if str(claim.subscription_id) not in (first["id"], second["id"])]
    assert [found.reveal() for found in readable] == [secret] and len(held) == 3
    with storage.read() as tx, pytest.raises(SecretUnreadable):
        stored.list_subscriptions(tx, limit=9)[-1].secret.reveal()


def test_an_ended_subscription_has_nothing_to_seal(client: FlaskClient, staff: Headers, storage: Storage) -> None:
    order(client, staff)
    [item] = client.get("/v1/subscriptions", headers=staff).json["items"]
    client.delete(f"/v1/subscriptions/{item['id']}", headers=staff)
    with storage.read() as tx:
        assert tx.execute(sa.select(sa.type_coerce(table.c.secret, sa.Text))).scalars().all() == [""]
    rotated = Storage(storage.url, vault=Vault([make_key()]))
    assert resealing.count_stale(rotated) == 0
    rotated.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("is_reading", [True, False])
def test_whoever_uses_the_file_keeps_it_from_being_rewritten_and_that_is_told(
    client: FlaskClient, staff: Headers, storage: Storage, is_reading: bool
) -> None:
    order(client, staff)
    impatient = Storage(storage.url, busy_seconds=0.1)
    with (storage.read() if is_reading else storage.write()) as tx:
        tx.exec_driver_sql("SELECT * FROM subscriptions").all()
        assert not impatient.compact()
    assert impatient.compact()
    impatient.close()


def test_the_command_says_what_it_did_and_the_start_says_what_is_to_do(tmp_path: Path) -> None:
    assert diglot(tmp_path, "migrate").stderr == ""
    assert VAULT.prefix.startswith("sealed:")
    with sqlite3.connect(tmp_path / "diglot.sqlite3") as database:
        insert = (
            "INSERT INTO subscriptions (id, partner, channel, callback, languages, categories, secret, state,"
            " created_at) VALUES (?, 'P', 'webhook', 'https://p.example/', '[]', '[]', ?, 'active', '2026-11-24')"
        )
        database.executemany(insert, [("0" * 31 + "1", "whsec_a"), ("0" * 31 + "2", VAULT.seal("whsec_b"))])
    assert "1 stored secrets were sealed with a key that is missing" in diglot(tmp_path, "migrate").stderr
    told = diglot(tmp_path, "migrate", DIGLOT_SECRET_KEY=SECRET_KEY).stderr
    assert "1 stored secrets are not sealed with the newest key: run `diglot rotate-secrets`." in told
    ended = diglot(tmp_path, "rotate-secrets")
    assert "1 secrets are sealed with the newest key now." in ended.stdout
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "1 could not be opened" in ended.stderr
    own = (tmp_path / "secret.key").read_text()
    again = diglot(tmp_path, "rotate-secrets", DIGLOT_SECRET_KEY=f"{own.strip()},{SECRET_KEY}")
    assert (again.returncode, again.stderr) == (0, "")
    assert diglot(tmp_path, "migrate").stderr == ""
