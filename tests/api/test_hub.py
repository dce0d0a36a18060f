"""POST /hub as a careless or hostile client meets it: what it answers, in which language, in which form."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import websub
from service.config import Profile
from service.hub import settle_intent
from service.model import IntentState
from service.storage import Storage
from service.storage import websub as asked
from tests.conftest import RecordingQueue, StoppedClock

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def form(profile: Profile) -> dict[str, str]:
    return {
        "hub.mode": "subscribe", "hub.topic": f"{profile.base_url}/feeds/en.atom",
        "hub.callback": "http://127.0.0.1:9/",
    }


def count(storage: Storage) -> int:
    with storage.read() as tx:
        return asked.count_waiting(tx)


def plain(answer: TestResponse, status: int) -> list[str]:
    assert (answer.status_code, answer.content_type) == (status, "text/plain; charset=utf-8")
    assert {"Accept", "Accept-Language"} <= set(answer.vary.as_set(preserve_casing=True))
    return answer.text.splitlines()


def test_what_is_accepted_is_kept_and_nudged_and_shown_to_nobody(
    client: FlaskClient, storage: Storage, queue: RecordingQueue, form: dict[str, str], staff: dict[str, str]
) -> None:
    answer = client.post("/hub", data=form)
    assert (answer.status_code, answer.data, answer.content_type) == (202, b"", None)
    assert count(storage) == 1 and queue.nudges == ["verify"]
    assert client.get("/v1/subscriptions", headers=staff).json["items"] == []


def test_what_only_asks_at_the_hub_is_told_to_post(client: FlaskClient) -> None:
    answer = client.get("/hub")
    assert plain(answer, 405) and answer.headers["Allow"] == "POST"


def test_a_ping_is_accepted_and_nothing_follows(
    client: FlaskClient, storage: Storage, queue: RecordingQueue
) -> None:
    body = "hub.mode=publish&hub.url=a&hub.url=b"
    assert client.post("/hub", data=body, content_type=FORM).status_code == 202
    assert count(storage) == 0 and queue.nudges == []


@pytest.mark.parametrize(("body", "kind", "status"), [
    ("{}", "application/json", 415), ("x", "multipart/form-data; boundary=x", 415), ("", FORM, 422),
    ("hub.mode=subscribe", f"{FORM}; charset=gbk", 415), (b"hub.secret=\xff", FORM, 400),
    ("hub.secret=%ff", FORM, 400), ("x" * (16 * 1024 + 1), FORM, 413), ("&" * 16000, FORM, 422),
    ("hub.secret=%00", FORM, 422), ("hub.topic=%00", FORM, 422), ("hub.callback=%00", FORM, 422),
])
def test_a_broken_body_is_refused_in_plain_text(
    client: FlaskClient, storage: Storage, body: Any, kind: str, status: int
) -> None:
    assert plain(client.post("/hub", data=body, content_type=kind), status)
    assert count(storage) == 0


def test_a_packed_body_is_refused(client: FlaskClient, form: dict[str, str]) -> None:
    assert plain(client.post("/hub", data=form, headers={"Content-Encoding": "gzip"}), 415)


def test_a_field_of_ours_is_given_once(client: FlaskClient, form: dict[str, str]) -> None:
    twice = {**form, "hub.callback": ["http://127.0.0.1:9/", "http://127.0.0.1:10/"], "foo": ["a", "b"]}
    assert [line.partition(":")[0] for line in plain(client.post("/hub", data=twice), 422)[2:]] == ["hub.callback"]


@pytest.mark.parametrize(("language", "words"), [
    ("zh-CN,en;q=0.5", "缺少"), ("en", "is missing"), ("fr", "is missing"),
])
def test_faults_are_told_in_the_callers_language(client: FlaskClient, language: str, words: str) -> None:
    answer = client.post("/hub", data={"hub.mode": "subscribe"}, headers={"Accept-Language": language})
    lines = plain(answer, 422)
    assert all(words in line for line in lines[2:]) and len(lines) == 4
    assert "errors" not in lines[1], "plain text has no member of that name"


@pytest.mark.parametrize(("language", "choices"), [
    ("zh", "subscribe、unsubscribe、publish。"), ("en", "subscribe, unsubscribe, publish."),
])
def test_the_modes_are_told_as_a_program_writes_them(
    client: FlaskClient, form: dict[str, str], language: str, choices: str
) -> None:
    """`publish` is a word of people too: what can be done with a release is told by it."""
    answer = client.post("/hub", data=form | {"hub.mode": "x"}, headers={"Accept-Language": language})
    assert plain(answer, 422)[2].endswith(choices)


@pytest.mark.parametrize("wanted", ["application/problem+json", "application/json"])
def test_who_wants_a_problem_gets_one(client: FlaskClient, form: dict[str, str], wanted: str) -> None:
    answer = client.post("/hub", data=form | {"hub.topic": "x"}, headers={"Accept": wanted})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/hub.topic"]


def test_what_the_hub_does_not_know_may_stand_there_twice(client: FlaskClient, form: dict[str, str]) -> None:
    """As subscribers of PubSubHubbub 0.3 still say both ways in which they can be asked."""
    body = urlencode([*form.items(), ("hub.verify", "sync"), ("hub.verify", "async")])
    assert client.post("/hub", data=body, content_type=FORM).status_code == 202
    twice = client.post("/hub", data=body + "&hub.secret=a&hub.secret=b", content_type=FORM)
    assert "hub.secret" in plain(twice, 422)[2]


def test_a_host_that_used_up_its_budget_is_told_when_to_come_again(
    client: FlaskClient, form: dict[str, str], monkeypatch: pytest.MonkeyPatch, clock: StoppedClock
) -> None:
    monkeypatch.setattr(websub, "MOST_AN_HOUR", 1)
    assert client.post("/hub", data=form).status_code == 202
    answer = client.post("/hub", data=form)
    assert "127.0.0.1" in plain(answer, 429)[1]
    clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert client.post("/hub", data=form).status_code == 202


def test_the_api_takes_no_order_for_websub(client: FlaskClient, staff: dict[str, str]) -> None:
    order = {"partner": "P", "channel": "websub", "callback": "http://127.0.0.1:9/", "languages": ["en"]}
    answer = client.post("/v1/subscriptions", json=order, headers=staff)
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/channel"]


def test_staff_see_a_subscriber_and_can_end_but_not_change_it(
    client: FlaskClient, storage: Storage, profile: Profile, form: dict[str, str], staff: dict[str, str],
    clock: StoppedClock, queue: RecordingQueue,
) -> None:
    client.post("/hub", data=form | {"hub.secret": "hush"})
    with storage.write() as tx:
        [intent] = asked.claim_intents(tx, "me", limit=1, now=clock(), until=clock())
    settle_intent(storage, profile, intent, IntentState.VERIFIED, None, clock())
    listed = client.get("/v1/subscriptions", headers=staff)
    [shown] = listed.json["items"]
    assert (shown["topic"], shown["lease_until"]) == ("/feeds/en.atom", "2026-12-04T08:00:00.123Z")
    assert "hush" not in listed.text
    ordered = {"language_choice", "format", "signature", "public_key", "overlap_ends_at"}
    assert shown.keys().isdisjoint(ordered), "others order these"
    path = f"/v1/subscriptions/{shown['id']}"
    merge = {**staff, "Content-Type": "application/merge-patch+json"}
    for refused in (
        client.patch(path, json={"callback": "http://127.0.0.1:10/"}, headers=merge),
        client.post(f"{path}/test", headers=staff),
        client.post(f"{path}/replay", json={"since": "2026-11-01T00:00:00Z"}, headers=staff),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "held_by_hub")
    queue.nudges.clear()
    assert client.delete(path, headers=staff).status_code == 204
    assert count(storage) == 1 and queue.nudges == ["verify"]
