"""What went wrong reads as a page where a browser asks, in the language of the address, and as a problem elsewhere."""

from __future__ import annotations

import dataclasses

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.edge import Services
from service.storage import Storage
from tests.conftest import VAULT

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "de, en;q=0.5"}


@pytest.fixture
def shut(services: Services) -> FlaskClient:
    """The service with a database that it can't reach."""
    away = Storage("postgresql+psycopg://u@127.0.0.1:1/d", vault=VAULT)
    return create_app(dataclasses.replace(services, storage=away)).test_client()


@pytest.mark.parametrize(("path", "tag", "words"), [
    ("/zh/", "zh-Hans", "新闻室暂时无法访问"),
    ("/zh/releases/any", "zh-Hans", "请过一分钟重新载入"),
    ("/en/", "en", "can’t be read just now"),
    ("/feeds/zh.atom", "en", "can’t be read just now"),
])
def test_a_newsroom_without_its_database_says_so_as_a_page(
    shut: FlaskClient, path: str, tag: str, words: str
) -> None:
    answer = shut.get(path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert words in answer.text and f'<html lang="{tag}"' in answer.text
    assert (answer.headers["Content-Language"], answer.headers["Cache-Control"]) == (tag, "no-store")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert {"accept", "accept-language"} <= {name.lower() for name in answer.vary}


def test_programs_still_get_a_problem(shut: FlaskClient, staff: dict[str, str]) -> None:
    for path, headers in (("/zh/", {}), ("/feeds/zh.atom", {"Accept": "application/atom+xml"})):
        answer = shut.get(path, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    answer = shut.get("/v1/releases", headers=staff | BROWSER)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")


def test_a_person_at_a_feed_that_has_ended_reads_that_it_has(services: Services) -> None:
    profile = dataclasses.replace(services.profile, retired_feeds=("old",))
    client = create_app(dataclasses.replace(services, profile=profile)).test_client()
    person, reader = client.get("/feeds/old.atom", headers=BROWSER), client.get("/feeds/old.atom")
    assert (person.status_code, reader.status_code) == (410, 410)
    assert "This feed has ended" in person.text and person.mimetype == "text/html"
    assert reader.json["code"] == "feed_retired"


def test_a_method_that_an_address_does_not_know_is_named_on_the_page_too(services: Services) -> None:
    answer = create_app(services).test_client().post("/zh/feeds/", headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (405, "text/html")
    assert "GET" in answer.headers["Allow"] and "HTTP" in answer.text
