"""Nothing is given up before its last try, and what is given up is told, kept on record, and can still be sent."""

from __future__ import annotations

import html
import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from service import keys
from service.config import Profile
from service.model import Role
from service.retries import GONE, WAITS
from service.storage import Storage
from service.subscriptions import end_gone
from tests.api.wire import FINAL, Headers, Wire, told
from tests.conftest import StoppedClock, bearer


@pytest.fixture
def wire(
    client: FlaskClient, admin: Headers, storage: Storage, profile: Profile, clock: StoppedClock,
    release_document: dict[str, Any],
) -> Wire:
    return Wire(client, admin, storage, profile, clock, release_document)


def withdraw_one(wire: Wire) -> str:
    """That the partner had; it is told so, and waits to be."""
    release_id = wire.publish()
    wire.deliver()
    wire.withdraw(release_id)
    return release_id


def give_up(wire: Wire, status: int) -> int:
    """Answer so until nothing is tried any more. Returns how often it was tried."""
    tries = len(wire.deliver(status))
    for wait in WAITS:
        wire.clock.now += wait * 1.2
        tries += len(wire.deliver(status))
    wire.clock.now += WAITS[-1] * 2
    assert wire.claim() == []
    return tries


def receipt(wire: Wire, release_id: str) -> Any:
    [receiver] = wire.get(f"/v1/releases/{release_id}/receipts")["items"]
    return receiver["languages"]["en"]


def audited(wire: Wire, release_id: str) -> list[Any]:
    entries = wire.get(f"/v1/releases/{release_id}/audit")["items"]
    return [entry for entry in entries if entry["action"] == "delivery.abandoned"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 423, 500])
def test_a_withdrawal_that_is_refused_once_comes_again_and_is_owed_meanwhile(wire: Wire, status: int) -> None:
    release_id = withdraw_one(wire)
    assert told(wire.deliver(status)) == [("withdrawn", release_id)]
    owed = receipt(wire, release_id)["owed"]
    assert (owed["event"], owed["state"], owed["status"], owed["error"]) == ("release.withdrawn", "due", status, None)
    assert owed["next_attempt_at"]
    wire.clock.now += WAITS[0] * 1.2
    assert told(wire.deliver()) == [("withdrawn", release_id)]
    after = receipt(wire, release_id)
    assert (after["owed"], after["accepted"]["event"]) == (None, "release.withdrawn")


def test_what_is_given_up_is_owed_on_record_and_can_be_sent_once_more(wire: Wire) -> None:
    release_id = withdraw_one(wire)
    assert give_up(wire, 404) == 1 + len(WAITS)
    shown = receipt(wire, release_id)
    assert shown["accepted"]["event"] == "release.published"
    owed = shown["owed"]
    assert (owed["event"], owed["state"], owed["status"], owed["next_attempt_at"]) == (
        "release.withdrawn", "abandoned", 404, None
    )
    [delivery] = [each for each in wire.get(f"{wire.path}/deliveries")["items"] if each["state"] == "abandoned"]
    [entry] = audited(wire, release_id)
    assert (entry["actor"], entry["key_id"]) == ("diglot", None)
    assert entry["details"] == {
        "subscription_id": wire.path.rpartition("/")[2], "delivery_id": delivery["id"], "event": "release.withdrawn",
        "tries": 1 + len(WAITS), "status": 404, "error": None,
    }
    assert wire.post(f"/v1/deliveries/{delivery['id']}/redeliver").status_code == 202
    assert told(wire.deliver()) == [("withdrawn", release_id)]
    assert receipt(wire, release_id)["owed"] is None


def test_what_was_overtaken_or_is_no_longer_wanted_is_no_loss(wire: Wire) -> None:
    """Something newer of the release is owed instead; and a 410 is the receiver's own wish."""
    release_id = wire.publish()
    [held] = wire.claim()
    wire.correct(release_id)
    wire.record(held, FINAL)
    assert audited(wire, release_id) == []
    assert receipt(wire, release_id)["owed"]["event"] == "release.corrected"
    wire.deliver(GONE)
    assert audited(wire, release_id) == []


def test_what_was_taken_once_is_not_owed_while_it_is_sent_again(wire: Wire) -> None:
    release_id = wire.publish()
    wire.deliver()
    [delivery] = wire.get(f"{wire.path}/deliveries")["items"]
    wire.post(f"/v1/deliveries/{delivery['id']}/redeliver")
    shown = receipt(wire, release_id)
    assert shown["owed"] is None and shown["sent"][0]["state"] == "due"


def test_notices_tell_what_befell_a_subscription_to_staff_and_to_its_own_partner(wire: Wire) -> None:
    release_id = withdraw_one(wire)
    wire.deliver(FINAL)
    wire.fail_for_days()
    wire.post(f"{wire.path}/resume")
    first = wire.get("/v1/notices?limit=1")
    assert [notice["type"] for notice in first["items"]] == ["subscription.resumed"]
    more = first["next"].removeprefix("http://127.0.0.1:8080").replace("limit=1", "limit=9")
    items = [*first["items"], *wire.get(more)["items"]]
    assert [(notice["type"], notice["event"]) for notice in items if notice["release_id"] in (None, release_id)] == [
        ("subscription.resumed", None), ("subscription.paused", None), ("delivery.abandoned", "release.withdrawn"),
    ]
    own = wire.path.rpartition("/")[2]
    assert {(notice["partner"], notice["subscription_id"]) for notice in items} == {("Daily", own)}
    last = items[-1]
    assert (last["status"], last["error"], last["sent_at"]) == (FINAL, None, None)
    assert wire.post(f"/v1/deliveries/{last['delivery_id']}/redeliver").status_code == 202
    daily, rival = (
        bearer(keys.make_key(wire.storage, name, Role.PARTNER, wire.clock(), partner=name)[1])
        for name in ("Daily", "Rival")
    )
    assert wire.client.get("/v1/notices", headers=daily).json["items"] == items
    assert wire.client.get("/v1/notices", headers=rival).json["items"] == []


def test_an_end_by_a_410_stands_among_the_notices_and_in_the_audit_log(wire: Wire) -> None:
    """With its partner, though nothing more can be done with it."""
    subscription_id = wire.path.rpartition("/")[2]
    with wire.storage.write() as tx:
        assert end_gone(tx, uuid.UUID(subscription_id), "https://daily.example/", wire.clock())
    [notice] = wire.get("/v1/notices")["items"]
    told = (notice["type"], notice["subscription_id"], notice["status"])
    assert told == ("subscription.ended", subscription_id, GONE)
    assert wire.get(wire.path)["ended_reason"] == "gone"
    assert wire.post(f"{wire.path}/resume").json["code"] == "subscription_ended", "no replay would help it"
    [entry] = [each for each in wire.get("/v1/audit")["items"] if each["action"] == "subscription.ended"]
    assert (entry["release_id"], entry["actor"]) == (None, "diglot")
    assert entry["details"] == {"subscription_id": subscription_id, "status": GONE, "error": None}


def test_a_withdrawal_of_four_languages_is_a_receipt_in_the_one_that_was_sent(wire: Wire) -> None:
    release_id = withdraw_one(wire)
    [receiver] = wire.get(f"/v1/releases/{release_id}/receipts")["items"]
    assert [*receiver["languages"]] == ["en"]
    assert [sent["event"] for sent in receiver["languages"]["en"]["sent"]] == ["release.published", "release.withdrawn"]


def test_printed_receipts_tell_the_totals_and_why_page_by_page(wire: Wire) -> None:
    first = wire.path
    for name in ("Second", "Third", "Fourth"):
        wire.subscribe(name)
    release_id = wire.publish()
    held = {f"/v1/subscriptions/{claim.subscription_id}": claim for claim in wire.claim()}
    for path, status in zip(sorted(held), (204, FINAL, 503, FINAL), strict=True):
        wire.record(held[path], status)
    path, pages, headers = f"/v1/releases/{release_id}/receipts?limit=2", [], wire.headers | {"Accept": "text/html"}
    while path:
        answer = wire.client.get(path, headers=headers | {"Accept-Language": "en"})
        pages.append(answer.text)
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<http://127.0.0.1:8080")
        onward = re.findall(r'<a href="([^"]+)" rel="next">', answer.text)
        assert [html.unescape(link) for link in onward] == [path][:bool(path)], "the page leads on as its header does"
    assert len(pages) == 2
    totals = "Receivers in all: 4. The newest is accepted by 1, on its way to 1, given up for 2."
    assert all(totals in page for page in pages)
    assert "(revision 1): given up" in pages[0] and f"last answer: {FINAL}" in pages[0]
    assert "Next try" in pages[0] and "last answer: 503" in pages[0] and "Accepted <time" in pages[1]
    assert held[first].message_id in pages[1]


def test_a_pause_stands_in_the_audit_log(wire: Wire) -> None:
    wire.fail_daily()
    wire.publish()
    wire.deliver(503)
    [entry] = [each for each in wire.get("/v1/audit")["items"] if each["action"] == "subscription.paused"]
    assert (entry["release_id"], entry["revision"], entry["actor"]) == (None, None, "diglot")
    assert entry["details"] == {"subscription_id": wire.path.rpartition("/")[2], "status": 503, "error": None}
