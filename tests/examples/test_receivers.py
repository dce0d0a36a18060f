"""What the receivers for partners promise, each pushed to over loopback as a partner's would be."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.signing import make_secret, sign

if TYPE_CHECKING:
    from tests.examples.conftest import Receiver

ROOT = Path(__file__).parents[2]
MAX_BYTES = 8 * 1024 * 1024
EDITION = {"headline": "上合组织峰会在天津举行", "body_text": "第一段。\n\n“引号”😀\u2028", "summary": ""}
RELEASE = {"id": "0193588a-5f5c-7c3e-9d1b-0123456789ab", "contacts": [{}], "editions": {"zh-Hans": EDITION}}
MESSAGE = {"type": "release.published", "timestamp": "2026-11-24T04:00:00Z", "data": {"release": RELEASE}}
SUBSCRIPTION = {"id": "0193588a-5f5c-7c3e-9d1b-0123456789ac", "partner": "新华社/Xinhua"}
PING = MESSAGE | {"type": "subscription.test", "data": {"subscription": SUBSCRIPTION}}


def _encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode()


BODY = _encode(MESSAGE)


def _kept(receiver: Receiver, message_id: str) -> list[dict[str, Any]]:
    inbox = receiver.folder / "inbox"
    lines = inbox.read_text("utf-8").split("\n") if inbox.exists() else []
    return [kept for kept in map(json.loads, filter(None, lines)) if kept["id"] == message_id]


@pytest.mark.parametrize("message", [MESSAGE, PING], ids=lambda message: message["type"])
def test_a_signed_message_is_kept_character_for_character(
    receiver: Receiver, message_id: str, message: dict[str, Any]
) -> None:
    body = _encode(message)
    assert receiver.post(body, receiver.sign(message_id, body)) == 204
    assert _kept(receiver, message_id) == [{"id": message_id, **message}]


def test_a_repeat_is_answered_like_the_first_and_kept_once(receiver: Receiver, message_id: str) -> None:
    """Each attempt has a timestamp and a signature of its own; the id is all that stays."""
    answers = [receiver.post(BODY, receiver.sign(message_id, BODY, age_seconds=age)) for age in (60, 0)]
    assert answers == [204, 204]
    assert len(_kept(receiver, message_id)) == 1


def test_repeats_at_the_same_moment_are_kept_once(receiver: Receiver, message_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        headers = receiver.sign(message_id, BODY)
        assert set(pool.map(lambda _: receiver.post(BODY, headers), range(24))) == {204}
    assert len(_kept(receiver, message_id)) == 1


def test_a_changed_body_is_refused(receiver: Receiver, message_id: str) -> None:
    changed = BODY.replace("天津".encode(), "青岛".encode())
    assert receiver.post(changed, receiver.sign(message_id, BODY)) == 401
    assert _kept(receiver, message_id) == []


@pytest.mark.parametrize("value", ["", "msg_x", "1795492800x", "NaN", "v1,", "v1,AAAA", "é"])
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_changed_header_is_refused(receiver: Receiver, message_id: str, name: str, value: str) -> None:
    assert receiver.post(BODY, receiver.sign(message_id, BODY) | {name: value}) == 401
    assert _kept(receiver, message_id) == []


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(receiver: Receiver, message_id: str, name: str) -> None:
    headers = receiver.sign(message_id, BODY)
    del headers[name]
    assert receiver.post(BODY, headers) == 401


def test_another_secret_is_refused(receiver: Receiver, message_id: str) -> None:
    assert receiver.post(BODY, receiver.sign(message_id, BODY, secret=make_secret())) == 401
    assert _kept(receiver, message_id) == []


def test_a_refused_message_is_not_taken_for_a_repeat_later(receiver: Receiver, message_id: str) -> None:
    """Else anybody could suppress a release by sending its id first."""
    assert receiver.post(b"{}", receiver.sign(message_id, BODY)) == 401
    assert receiver.post(BODY, receiver.sign(message_id, BODY)) == 204
    assert len(_kept(receiver, message_id)) == 1


@pytest.mark.parametrize(("age_seconds", "status"), [(290, 204), (310, 401), (-290, 204), (-310, 401)])
def test_a_timestamp_may_be_five_minutes_off(
    receiver: Receiver, message_id: str, age_seconds: int, status: int
) -> None:
    assert receiver.post(BODY, receiver.sign(message_id, BODY, age_seconds=age_seconds)) == status
    assert len(_kept(receiver, message_id)) == (status == 204)


def test_one_good_signature_of_several_is_enough(receiver: Receiver, message_id: str) -> None:
    """Standard Webhooks: a list separated by spaces, for while a secret is being changed."""
    headers = receiver.sign(message_id, BODY)
    others = f"v1a,c2lnbmF0dXJl v1,é {sign(make_secret(), message_id, 0, BODY)}"
    several = f"{others} {headers['webhook-signature']}"
    assert receiver.post(BODY, headers | {"webhook-signature": several}) == 204


def test_a_signature_of_another_scheme_is_refused(receiver: Receiver, message_id: str) -> None:
    headers = receiver.sign(message_id, BODY)
    other = headers["webhook-signature"].replace("v1,", "v2,")
    assert receiver.post(BODY, headers | {"webhook-signature": other}) == 401


def test_a_body_at_the_limit_is_kept(receiver: Receiver, message_id: str) -> None:
    body = BODY.ljust(MAX_BYTES)
    assert receiver.post(body, receiver.sign(message_id, body)) == 204
    assert len(_kept(receiver, message_id)) == 1


def test_a_body_over_the_limit_is_refused(receiver: Receiver) -> None:
    assert receiver.declare(MAX_BYTES + 1) == 413


def test_a_message_that_cannot_be_kept_is_not_acknowledged(
    receiver_that_cannot_keep: Receiver, message_id: str
) -> None:
    """Nor at the next try: PHP answers 200 if it shows the error, any of them if it remembers too soon."""
    receiver = receiver_that_cannot_keep
    for _ in range(2):
        try:
            assert receiver.post(BODY, receiver.sign(message_id, BODY)) == 500
        except http.client.RemoteDisconnected:
            assert receiver.language == "python"


def test_without_an_inbox_the_line_goes_to_standard_output(
    receiver_without_inbox: Receiver, message_id: str
) -> None:
    receiver = receiver_without_inbox
    assert receiver.post(BODY, receiver.sign(message_id, BODY)) == 204
    assert json.loads((receiver.folder / "stdout").read_text("utf-8")) == {"id": message_id, **MESSAGE}


@pytest.mark.parametrize(("fence", "extension"), [("python", "py"), ("php", "php"), ("js", "mjs")])
def test_the_page_for_partners_quotes_the_receiver_exactly(fence: str, extension: str) -> None:
    page = (ROOT / "docs" / "partners.md").read_text("utf-8")
    receiver = (ROOT / "examples" / f"receiver.{extension}").read_text("utf-8")
    assert f"\n```{fence}\n{receiver}```\n" in page
