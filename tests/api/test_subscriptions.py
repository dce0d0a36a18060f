"""/v1/subscriptions: standing orders, each partner's its own."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from service import keys
from service.model import Role
from service.storage import Storage
from service.subscriptions import end_subscription
from tests.conftest import RecordingQueue, StoppedClock, bearer

Headers = dict[str, str]

ORDER: dict[str, Any] = {
    "partner": "Daily", "channel": "webhook", "callback": "https://daily.example/hook", "languages": ["zh-Hans", "en"],
}


@pytest.fixture
def daily(storage: Storage, clock: StoppedClock) -> Headers:
    """The headers of the partner Daily's key."""
    return bearer(keys.make_key(storage, "daily", Role.PARTNER, clock(), "Daily")[1])


def test_the_secret_is_shown_once(client: FlaskClient, staff: Headers) -> None:
    answer = client.post("/v1/subscriptions", json=ORDER, headers=staff)
    assert answer.status_code == 201
    assert answer.json["secret"].startswith("whsec_")
    assert answer.headers["Cache-Control"] == "no-store"
    path = f"/v1/subscriptions/{answer.json['id']}"
    shown = client.get(path, headers=staff).text + client.get("/v1/subscriptions", headers=staff).text
    shown += client.patch(path, json={"languages": ["en"]}, headers=staff).text
    assert answer.json["secret"] not in shown
    assert "secret" not in shown


def test_every_fault_of_an_order_is_told(client: FlaskClient, staff: Headers) -> None:
    order = {"partner": " ", "channel": "pigeon", "callback": "ftp://x.example", "languages": ["en", "fr"],
             "categories": ["sport"], "secret": "mine"}
    answer = client.post("/v1/subscriptions", json=order, headers=staff)
    assert {(error["pointer"], error["code"]) for error in answer.json["errors"]} == {
        ("/partner", "empty"), ("/channel", "not_allowed"), ("/callback", "callback_scheme"),
        ("/languages/1", "unknown_language"), ("/categories/0", "unknown_category"), ("/secret", "unknown_field"),
    }


@pytest.mark.parametrize("callback", [
    "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://2886729729/",
])
def test_a_private_callback_is_refused_at_once(client: FlaskClient, staff: Headers, callback: str) -> None:
    answer = client.post("/v1/subscriptions", json={**ORDER, "callback": callback}, headers=staff)
    assert [error["code"] for error in answer.json["errors"]] == ["callback_address"]


def test_a_change_keeps_what_it_does_not_name(client: FlaskClient, staff: Headers) -> None:
    made = client.post("/v1/subscriptions", json={**ORDER, "categories": ["visits"]}, headers=staff).json
    changed = client.patch(f"/v1/subscriptions/{made['id']}", json={"languages": ["en"]}, headers=staff).json
    del made["secret"]
    assert changed == {**made, "languages": ["en"]}


def test_a_deleted_subscription_is_gone(client: FlaskClient, staff: Headers) -> None:
    path = f"/v1/subscriptions/{client.post('/v1/subscriptions', json=ORDER, headers=staff).json['id']}"
    assert client.delete(path, headers=staff).status_code == 204
    assert client.get(path, headers=staff).status_code == 404
    assert client.delete(path, headers=staff).status_code == 404
    assert client.get("/v1/subscriptions", headers=staff).json["items"] == []


def test_a_test_ping_is_owed_and_nudged(client: FlaskClient, staff: Headers, queue: RecordingQueue) -> None:
    path = f"/v1/subscriptions/{client.post('/v1/subscriptions', json=ORDER, headers=staff).json['id']}"
    ping = client.post(f"{path}/test", headers=staff)
    assert ping.status_code == 202
    assert (ping.json["event"], ping.json["state"], ping.json["attempts"]) == ("subscription.test", "due", [])
    assert queue.nudges == ["deliver"]
    assert client.get(f"{path}/deliveries", headers=staff).json["items"] == [ping.json]


def test_a_partner_sees_only_its_own(client: FlaskClient, staff: Headers, daily: Headers) -> None:
    own = client.post("/v1/subscriptions", json=ORDER, headers=daily).json
    other = client.post("/v1/subscriptions", json={**ORDER, "partner": "Rival"}, headers=staff).json
    listed = client.get("/v1/subscriptions", headers=daily).json["items"]
    assert [subscription["id"] for subscription in listed] == [own["id"]]
    path = f"/v1/subscriptions/{other['id']}"
    hidden = [
        client.get(path, headers=daily), client.patch(path, json={"languages": ["en"]}, headers=daily),
        client.delete(path, headers=daily), client.post(f"{path}/test", headers=daily),
        client.get(f"{path}/deliveries", headers=daily),
    ]
    assert [answer.status_code for answer in hidden] == [404] * 5
    assert client.get(path, headers=staff).json["state"] == "active"


def test_a_partner_orders_for_itself_alone(client: FlaskClient, daily: Headers) -> None:
    answer = client.post("/v1/subscriptions", json={**ORDER, "partner": "Rival"}, headers=daily)
    assert (answer.status_code, answer.json["code"]) == (403, "foreign_partner")
    assert "“Daily”" in answer.json["detail"]


def test_keys_are_made_shown_once_and_revoked(client: FlaskClient, admin: Headers) -> None:
    made = client.post("/v1/keys", json={"name": "desk", "role": "staff"}, headers=admin)
    assert made.status_code == 201
    key = bearer(made.json["key"])
    assert client.get("/v1/releases", headers=key).status_code == 200
    assert made.json["key"] not in client.get("/v1/keys", headers=admin).text
    assert client.delete(f"/v1/keys/{made.json['id']}", headers=admin).status_code == 204
    assert client.get("/v1/releases", headers=key).status_code == 401
    assert client.delete(f"/v1/keys/{made.json['id']}", headers=admin).status_code == 404


@pytest.mark.parametrize(("document", "pointer"), [
    ({"name": "x", "role": "partner"}, "/partner"), ({"name": "x", "role": "staff", "partner": "P"}, "/partner"),
    ({"name": "x", "role": "king"}, "/role"), ({"role": "staff"}, "/name"),
])
def test_a_wrong_key_order_is_refused(client: FlaskClient, admin: Headers, document: Any, pointer: str) -> None:
    answer = client.post("/v1/keys", json=document, headers=admin)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_no_key_is_kept_in_the_clear(storage: Storage, clock: StoppedClock) -> None:
    _, plain = keys.make_key(storage, "desk", Role.STAFF, clock())
    with storage.read() as tx:
        rows = tx.exec_driver_sql("SELECT * FROM api_keys").all()
    assert plain not in repr(rows)


def test_the_configured_admin_key_follows_the_environment(storage: Storage, clock: StoppedClock) -> None:
    made = keys.ensure_admin(storage, None, clock())
    assert made
    assert keys.ensure_admin(storage, None, clock()) is None, "the first key is made once"
    for configured, retired in (("first-secret", "second-secret"), ("second-secret", "first-secret"),
                                ("first-secret", "second-secret")):
        assert keys.ensure_admin(storage, configured, clock()) is None
        assert keys.find_caller(storage, configured)
        assert keys.find_caller(storage, retired) is None


@pytest.mark.parametrize("is_deleted", [True, False])
def test_the_secret_is_erased_with_the_subscription(
    client: FlaskClient, staff: Headers, storage: Storage, is_deleted: bool
) -> None:
    made = client.post("/v1/subscriptions", json=ORDER, headers=staff).json
    if is_deleted:
        client.delete(f"/v1/subscriptions/{made['id']}", headers=staff)
    else:
        with storage.write() as tx:
            end_subscription(tx, uuid.UUID(made["id"]), "gone")
    with storage.read() as tx:
        kept = repr(tx.exec_driver_sql("SELECT * FROM subscriptions").all())
    assert "Daily" in kept and "whsec_" not in kept


@pytest.mark.parametrize("name", ["a\nb", "x\x1b[2J", "x\u2028"])
def test_a_partner_is_named_on_one_line(client: FlaskClient, staff: Headers, name: str) -> None:
    answer = client.post("/v1/subscriptions", json={**ORDER, "partner": name}, headers=staff)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/partner", "not_one_line")]


@pytest.mark.parametrize("path", ["/v1/subscriptions", "/v1/keys"])
def test_half_a_character_is_refused_in_words(client: FlaskClient, admin: Headers, path: str) -> None:
    body = json.dumps({"partner": "x\ud800", "\udfff": 1})
    answer = client.post(path, data=body, content_type="application/json", headers=admin)
    assert (answer.status_code, [error["code"] for error in answer.json["errors"]]) == (422, ["half_character"])
