"""What a request may ask for, how its data may be packed, and what scripts of other sites may read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.edge import Services
from service.publishing import publish_due
from tests.conftest import StoppedClock

Headers = dict[str, str]


@pytest.mark.parametrize(("path", "pointer", "code"), [
    ("/v1/releases?text=x", "/text", "unknown_parameter"), ("/v1/releases?Q=x", "/Q", "unknown_parameter"),
    ("/v1/keys?q=x", "/q", "unknown_parameter"), ("/v1/releases?language=fr", "/language", "unknown_language"),
    ("/v1/releases?language=", "/language", "unknown_language"), ("/v1/releases?q=%07", "/q", "not_one_line"),
    ("/v1/subscriptions/0192f0c0-0000-7000-8000-000000000000?x=1", "/x", "unknown_parameter"),
])
def test_a_query_that_would_be_ignored_is_a_fault(
    client: FlaskClient, admin: Headers, path: str, pointer: str, code: str
) -> None:
    answer = client.get(path, headers=admin)
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, code)]


def test_blanks_look_for_nothing(client: FlaskClient, staff: Headers, release_document: dict[str, Any]) -> None:
    client.post("/v1/releases", json=release_document, headers=staff)
    for query in ("", "?q=", "?q=" + "%20" * 9, "?language=en", "?q=&limit=5&state=published"):
        assert len(client.get(f"/v1/releases{query}", headers=staff).json["items"]) == 1


def test_a_stranger_learns_nothing_from_the_query(client: FlaskClient) -> None:
    assert client.get("/v1/releases?x=1").status_code == 401


def test_links_to_pages_may_carry_more(client: FlaskClient) -> None:
    assert client.get("/zh/?utm_source=letter").status_code == 200


@pytest.mark.parametrize(("headers", "status", "code"), [
    ({"Content-Encoding": "gzip"}, 415, "packed_body"), ({"Content-Encoding": "identity"}, 201, None),
    ({"Content-Type": "application/json; charset=gbk"}, 415, "wrong_media_type"),
    ({"Content-Type": "application/json; charset=UTF-8"}, 201, None),
])
def test_data_comes_unpacked_and_in_utf_8(
    client: FlaskClient, staff: Headers, release_document: dict[str, Any], headers: Headers, status: int,
    code: str | None,
) -> None:
    headers = {"Content-Type": "application/json", **staff, **headers}
    answer = client.post("/v1/releases", data=json.dumps(release_document), headers=headers)
    assert (answer.status_code, answer.json.get("code")) == (status, code)


def test_the_same_value_repeats_a_request_however_it_is_spaced_and_ordered(
    client: FlaskClient, staff: Headers, release_document: dict[str, Any]
) -> None:
    headers = {**staff, "Idempotency-Key": "k", "Content-Type": "application/json"}
    first = client.post("/v1/releases", data=json.dumps(release_document), headers=headers)
    turned = dict(reversed(release_document.items()))
    again = client.post("/v1/releases", data=json.dumps(turned, indent=2, ensure_ascii=False), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["id"] == again.json["id"]
    turned["categories"] = []
    assert client.post("/v1/releases", data=json.dumps(turned), headers=headers).status_code == 422


def test_a_script_of_another_site_may_poll_a_feed_politely(
    client: FlaskClient, services: Services, clock: StoppedClock
) -> None:
    publish_due(services.storage, services.profile, clock)
    asked = {"Origin": "https://x.example", "Access-Control-Request-Headers": "if-none-match"}
    preflight = client.options("/feeds/zh.json", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "If-None-Match" in preflight.headers["Access-Control-Allow-Headers"]
    assert "ETag" in client.get("/feeds/zh.json").headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in client.options("/v1/releases").headers


def test_a_feed_that_is_not_the_one_meant_comes_without_its_text(
    client: FlaskClient, services: Services, clock: StoppedClock
) -> None:
    publish_due(services.storage, services.profile, clock)
    for encoding in ("identity", "gzip"):
        answer = client.get("/feeds/zh.atom", headers={"If-Match": '"other"', "Accept-Encoding": encoding})
        assert (answer.status_code, answer.data) == (412, b"")
