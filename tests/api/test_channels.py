"""/v1/subscriptions: what each channel asks for beside what all do."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.storage import Storage

Headers = dict[str, str]

SITE: dict[str, Any] = {
    "partner": "Daily", "channel": "wordpress", "callback": "https://daily.example/wp-json", "languages": ["en"],
    "username": "press", "application_password": "abcd EFGH 1234 ijkl MNOP 5678",
    "categories_map": {"visits": 7, "events": {"en": 8, "zh-Hans": 9}},
}
HOOK: dict[str, Any] = {**{name: SITE[name] for name in ("partner", "languages")}, "channel": "webhook",
                        "callback": "https://daily.example/hook"}


def faults(answer: Any) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return {(error["pointer"], error["code"]) for error in answer.json["errors"]}


def test_a_sites_password_is_never_shown_and_never_kept_in_the_clear(
    client: FlaskClient, staff: Headers, storage: Storage
) -> None:
    made = client.post("/v1/subscriptions", json=SITE, headers=staff)
    path = f"/v1/subscriptions/{made.json['id']}"
    changed = client.patch(path, json={"application_password": "zyxw 9876"}, headers=staff)
    shown = made.text + changed.text + client.get(path, headers=staff).text
    shown += client.get("/v1/subscriptions", headers=staff).text
    with storage.read() as tx:
        kept = repr(tx.exec_driver_sql("SELECT * FROM subscriptions").all())
    for password in (SITE["application_password"], "zyxw 9876"):
        assert password not in shown and password not in kept
    assert "secret" not in shown


@pytest.mark.parametrize("callback", [
    "https://evil.example/wp-json", "https://daily.example:8443/wp-json", "https://daily.example.evil.example/wp-json",
])
def test_a_sites_password_follows_its_callback_to_no_other_site(
    client: FlaskClient, staff: Headers, callback: str
) -> None:
    """Whoever owns the other site would read it there. A new password goes there, and the same site may move."""
    path = f"/v1/subscriptions/{client.post('/v1/subscriptions', json=SITE, headers=staff).json['id']}"
    refused = client.patch(path, json={"callback": callback, "username": "x"}, headers=staff)
    assert faults(refused) == {("/application_password", "password_of_another_site")}
    kept = client.get(path, headers=staff).json
    assert (kept["callback"], kept["username"]) == (SITE["callback"], "press")
    moved = {"callback": "https://DAILY.example:443/blog/wp-json"}
    assert client.patch(path, json=moved, headers=staff).json["callback"] == moved["callback"]
    renewed = {"callback": callback, "application_password": "zyxw 9876"}
    assert client.patch(path, json=renewed, headers=staff).json["callback"] == callback


def test_a_webhook_moves_with_its_secret(client: FlaskClient, staff: Headers) -> None:
    """Which signs, and is sent nowhere."""
    path = f"/v1/subscriptions/{client.post('/v1/subscriptions', json=HOOK, headers=staff).json['id']}"
    assert client.patch(path, json={"callback": "https://other.example/"}, headers=staff).status_code == 200


def test_format_and_signature_are_shown_of_a_webhook_alone(client: FlaskClient, staff: Headers) -> None:
    """Of any other channel they would tell of something that is never sent."""
    hook, site = (client.post("/v1/subscriptions", json=order, headers=staff).json for order in (HOOK, SITE))
    webhooks_own = {"format", "signature", "public_key", "overlap_ends_at"}
    assert webhooks_own <= hook.keys() and webhooks_own.isdisjoint(site)
    listed = client.get("/v1/subscriptions", headers=staff).json["items"]
    assert [webhooks_own & shown.keys() for shown in listed] == [set(), webhooks_own]
    pings = [client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff).json for made in (hook, site)]
    assert ["format" in ping for ping in pings] == [True, False]


def test_what_else_a_site_is_told_by_is_shown_and_changed_member_by_member(
    client: FlaskClient, staff: Headers
) -> None:
    made = client.post("/v1/subscriptions", json=SITE, headers=staff).json
    assert (made["username"], made["categories_map"]) == ("press", SITE["categories_map"])
    change = {"categories_map": {"visits": None, "events": {"en": 4}}}
    changed = client.patch(f"/v1/subscriptions/{made['id']}", json=change, headers=staff).json
    assert changed == {**made, "categories_map": {"events": {"en": 4, "zh-Hans": 9}}}


def test_the_password_is_erased_with_the_subscription(client: FlaskClient, staff: Headers, storage: Storage) -> None:
    made = client.post("/v1/subscriptions", json=SITE, headers=staff).json
    assert client.delete(f"/v1/subscriptions/{made['id']}", headers=staff).status_code == 204
    with storage.read() as tx:
        assert tx.exec_driver_sql("SELECT secret FROM subscriptions").scalar_one() == ""


@pytest.mark.parametrize(("change", "expected"), [
    ({"username": None}, {("/username", "wrong_type")}),
    ({"username": "a:b", "application_password": "密码"},
     {("/username", "wrong_username"), ("/application_password", "wrong_password")}),
    ({"categories_map": {"sport": 1, "visits": 0}},
     {("/categories_map/sport", "unknown_category"), ("/categories_map/visits", "too_small")}),
    ({"callback": "https://daily.example/?rest_route=/"}, {("/callback", "callback_query")}),
    ({"callback": "http://192.0.2.1/wp-json"}, {("/callback", "callback_address")}),
    ({"callback": "http://93.184.215.14/wp-json"}, {("/callback", "callback_plain")}),
])
def test_every_fault_of_a_sites_order_is_told(
    client: FlaskClient, staff: Headers, change: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert faults(client.post("/v1/subscriptions", json={**SITE, **change}, headers=staff)) == expected


def test_a_site_needs_a_user_and_a_password(client: FlaskClient, staff: Headers) -> None:
    order = {name: value for name, value in SITE.items() if name not in ("username", "application_password")}
    assert faults(client.post("/v1/subscriptions", json=order, headers=staff)) == {
        ("/username", "missing"), ("/application_password", "missing"),
    }


def test_plain_http_is_taken_on_a_network_that_the_operator_allowed(client: FlaskClient, staff: Headers) -> None:
    order = {**SITE, "callback": "http://127.0.0.1:8000/wp-json"}
    assert client.post("/v1/subscriptions", json=order, headers=staff).status_code == 201


def test_what_belongs_to_another_channel_is_out_of_place(client: FlaskClient, staff: Headers) -> None:
    site = {**SITE, "format": "ninjs", "signature": "v1a", "messages": "apart"}
    assert faults(client.post("/v1/subscriptions", json=site, headers=staff)) == {
        ("/format", "not_here"), ("/signature", "not_here"), ("/messages", "not_here"),
    }
    assert faults(client.post("/v1/subscriptions", json={**HOOK, "username": "press"}, headers=staff)) == {
        ("/username", "not_here"),
    }
    misspelt = {**HOOK, "channel": "webhok", "format": "ninjs", "contact_email": "it@daily.example"}
    assert faults(client.post("/v1/subscriptions", json=misspelt, headers=staff)) == {("/channel", "not_allowed")}
    hook = client.post("/v1/subscriptions", json=HOOK, headers=staff).json
    change = {"application_password": "x", "categories_map": {}}
    assert faults(client.patch(f"/v1/subscriptions/{hook['id']}", json=change, headers=staff)) == {
        ("/application_password", "not_here"), ("/categories_map", "not_here"),
    }


@pytest.mark.parametrize("order", [HOOK, SITE])
def test_who_is_told_of_a_pause_is_shown_changed_and_taken_out(
    client: FlaskClient, staff: Headers, order: dict[str, Any]
) -> None:
    made = client.post("/v1/subscriptions", json={**order, "contact_email": "it@daily.example"}, headers=staff).json
    path = f"/v1/subscriptions/{made['id']}"
    assert made["contact_email"] == client.get(path, headers=staff).json["contact_email"] == "it@daily.example"
    changed = client.patch(path, json={"contact_email": "desk@daily.example"}, headers=staff).json
    assert changed["contact_email"] == "desk@daily.example"
    assert "contact_email" not in client.patch(path, json={"contact_email": None}, headers=staff).json


@pytest.mark.parametrize("address", [
    "daily.example", "a@b.example\r\nBcc: c@d.example", "端口@b.example", "a@b,c@d", "",
])
def test_who_is_told_of_a_pause_needs_an_address(client: FlaskClient, staff: Headers, address: str) -> None:
    order = {**HOOK, "contact_email": address}
    assert faults(client.post("/v1/subscriptions", json=order, headers=staff)) == {("/contact_email", "wrong_format")}
    hook = client.post("/v1/subscriptions", json=HOOK, headers=staff).json
    change = {"contact_email": address}
    assert faults(client.patch(f"/v1/subscriptions/{hook['id']}", json=change, headers=staff)) == {
        ("/contact_email", "wrong_format"),
    }
