"""E-mail is ordered where the newsroom can send it, and ended by whoever gets it, without a key."""

from __future__ import annotations

import dataclasses
import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.config import Settings
from service.mail import MailServer, read_mail_server
from service.model import SubscriptionState
from service.storage import Storage, subscriptions, tables
from service.unsubscribing import make_token

Headers = dict[str, str]

ORDER: dict[str, Any] = {
    "partner": "Daily", "channel": "email", "callback": "mailto:desk@daily.example", "languages": ["zh-Hans", "en"],
}
SERVER = read_mail_server({"DIGLOT_SMTP_URL": "smtp://127.0.0.1", "DIGLOT_MAIL_FROM": "press@news.example"})


@pytest.fixture
def mail() -> MailServer | None:
    return SERVER


@pytest.fixture
def settings(settings: Settings, mail: MailServer | None) -> Settings:
    return dataclasses.replace(settings, mail=mail)


@pytest.fixture
def ordered(client: FlaskClient, staff: Headers) -> dict[str, Any]:
    answer = client.post("/v1/subscriptions", json=ORDER, headers=staff)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


@pytest.fixture
def link(ordered: dict[str, Any], storage: Storage) -> str:
    with storage.read() as tx:
        found = subscriptions.find_subscription(tx, uuid.UUID(ordered["id"]))
    assert found
    return f"/unsubscribe/{make_token(found.id, found.secret.reveal())}"


def state(client: FlaskClient, staff: Headers, ordered: dict[str, Any]) -> tuple[str, str | None]:
    found = client.get(f"/v1/subscriptions/{ordered['id']}", headers=staff).json
    return found["state"], found["ended_reason"]


def test_an_order_shows_no_secret(ordered: dict[str, Any]) -> None:
    assert "secret" not in ordered and ordered["callback"] == ORDER["callback"]


@pytest.mark.parametrize("callback", [
    "desk@daily.example", "mailto:", "mailto:a@b.example?bcc=v@x.example", "mailto:a@b.example,v@x.example",
    "mailto:a@b.example\r\nBcc: v@x.example", "https://daily.example/", "MAILTO:a@b.example",
])
def test_an_order_names_one_address(client: FlaskClient, staff: Headers, callback: str) -> None:
    answer = client.post("/v1/subscriptions", json={**ORDER, "callback": callback}, headers=staff)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/callback", "callback_mailto")]


@pytest.mark.parametrize("mail", [None])
def test_where_no_mail_can_be_sent_none_can_be_ordered(client: FlaskClient, staff: Headers) -> None:
    answer = client.post("/v1/subscriptions", json=ORDER, headers=staff)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/channel", "mail_not_set_up")]


def test_one_click_ends_it_without_a_key_and_a_second_does_no_harm(
    client: FlaskClient, staff: Headers, ordered: dict[str, Any], link: str
) -> None:
    """RFC 8058 section 3.2: a POST with this very body, no cookie, and no redirect in answer."""
    for _ in range(2):
        answer = client.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert state(client, staff, ordered) == ("ended", "unsubscribed")
    with client.get(link) as page:
        assert "已经退订" in page.text and "<form" not in page.text


def test_a_paused_one_is_ended_as_well(
    client: FlaskClient, staff: Headers, ordered: dict[str, Any], link: str, storage: Storage
) -> None:
    with storage.write() as tx:
        tx.execute(tables.subscriptions.update().values(state=SubscriptionState.PAUSED))
    assert "要退订这些邮件吗？" in client.get(link).text
    assert client.post(f"{link[:-2]}zz").status_code == 404
    assert client.post(link).status_code == 200
    assert state(client, staff, ordered) == ("ended", "unsubscribed")


def test_following_the_link_only_asks_in_both_languages(
    client: FlaskClient, staff: Headers, ordered: dict[str, Any], link: str
) -> None:
    """Mail scanners follow every link."""
    for method in ("GET", "HEAD"):
        answer = client.open(link, method=method)
        assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    page = client.get(link)
    assert "要退订这些邮件吗？" in page.text and "End these e-mails?" in page.text
    assert len(re.findall(r'<form method="post">', page.text)) == 2
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert 'content="noindex"' in page.text
    assert state(client, staff, ordered) == ("active", None)


def test_no_other_page_may_send_a_form(client: FlaskClient) -> None:
    assert "form-action 'none'" in client.get("/en/").headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_whole_link_will_do(
    client: FlaskClient, staff: Headers, ordered: dict[str, Any], link: str, method: str
) -> None:
    flipped = link[:-1] + ("0" if link[-1] != "0" else "1")
    for wrong in (flipped, link[:-1], f"{link}0", f"/unsubscribe/{uuid.UUID(ordered['id']).hex}", "/unsubscribe/é",
                  f"/unsubscribe/{uuid.uuid4().hex}{link[-32:]}", "/unsubscribe/x"):
        answer = client.open(wrong, method=method)
        assert answer.status_code == 404 and "This link leads nowhere" in answer.text
    assert state(client, staff, ordered) == ("active", None)
