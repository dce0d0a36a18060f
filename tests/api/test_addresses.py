"""Addresses that are nearly right, wrong or asked for by habit."""

from __future__ import annotations

import dataclasses

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.edge import Services

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/zh", "/docs", "//evil.example/docs", "/docs?q=1", "/zh//releases/x", "//zh/"])
def test_no_answer_leads_to_the_host_that_the_request_names(client: FlaskClient, path: str) -> None:
    """A cache would keep the redirect for everybody."""
    answer = client.get(path, headers={"Host": "evil.example"})
    location = answer.headers.get("Location", "/")
    assert location.startswith("/") and not location.startswith("//")
    assert b"http://evil.example" not in answer.data


def test_a_missing_slash_loses_neither_the_list_nor_the_query(client: FlaskClient) -> None:
    assert client.get("/zh").status_code == client.get("/zh/").status_code == 200
    assert client.get("/docs?q=1").headers["Location"] == "/docs/?q=1"


@pytest.mark.parametrize("path", ["/nope", "/nope/", "/a/b/c", "/feeds/nope.atom", "/problems/nope"])
def test_nothing_is_said_at_once_to_programs(client: FlaskClient, path: str) -> None:
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = client.get(path, headers=accept)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@pytest.mark.parametrize(("path", "accepted", "words"), [
    ("/fr/", "zh-CN", "页面不存在"), ("/fr/", "en", "does not exist"), ("/nope", "de", "页面不存在"),
    ("/en/nope/", "zh-CN", "does not exist"), ("/zh/nope", "en", "页面不存在"),
])
def test_a_reader_is_told_in_a_page_of_the_language_of_the_path_or_their_own(
    client: FlaskClient, path: str, accepted: str, words: str
) -> None:
    answer = client.get(path, headers={**BROWSER, "Accept-Language": accepted})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert words in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_api_answers_json_even_to_a_browser(client: FlaskClient) -> None:
    assert client.get("/v1/nope", headers=BROWSER).mimetype == "application/problem+json"


def test_robots_are_kept_from_the_api_alone(client: FlaskClient) -> None:
    answer = client.get("/robots.txt")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.text.startswith("User-agent: *\nDisallow: /v1/\nSitemap: ")


def test_the_icon_is_the_newsrooms(client: FlaskClient, services: Services) -> None:
    assert client.get("/favicon.ico").status_code == 404
    profile = dataclasses.replace(services.profile, icon="https://news.example/icon.png")
    branded = create_app(dataclasses.replace(services, profile=profile)).test_client()
    assert branded.get("/favicon.ico").headers["Location"] == "https://news.example/icon.png"


@pytest.mark.parametrize(("accepted", "language"), [
    ("zh,en", "zh"), ("en,zh", "en"), ("zh-CN,en", "zh"), ("zh;q=0.9,en;q=0.9", "zh"), ("en;q=0.8,zh;q=0.9", "zh"),
    ("cmn", "zh"), ("yue-HK,en;q=0.5", "zh"), ("fr,zh;q=0.5", "zh"), ("zh;q=0,en", "en"), ("fr", "en"), ("*", "en"),
    ("zh-Hans-CN;q=0.4, *;q=0.1", "zh"), ("", "en"), ("fr,zh;q=0", "en"), (";;=,", "en"), ("x-zh", "en"),
    ("fr," * 5000 + "zh", "en"),
])
def test_the_caller_is_answered_in_the_first_language_of_theirs_that_we_speak(
    client: FlaskClient, accepted: str, language: str
) -> None:
    answer = client.get("/v1/releases", headers={"Accept-Language": accepted})
    assert answer.headers["Content-Language"] == language


def test_a_member_that_does_not_go_with_the_rest_is_told_so(client: FlaskClient, admin: dict[str, str]) -> None:
    answer = client.post("/v1/keys", json={"name": "x", "role": "staff", "partner": "A"}, headers=admin)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/partner", "not_here")]
    answer = client.post("/v1/keys", json={"name": "W", "role": "partnr", "partner": "P"}, headers=admin)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/role", "not_allowed")]
