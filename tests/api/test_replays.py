"""What is sent once more: one delivery again, or everything since a time."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest

from service import keys, replays
from service.config import Profile
from service.model import Role
from service.pings import MOST_AN_HOUR
from service.replays import BATCH, MOST_OPEN, plan_replays
from service.retries import WAITS
from service.storage import Storage
from service.storage.tables import subscriptions as subscription_rows
from service.views import iso
from tests.api.wire import FINAL, Wire, told
from tests.conftest import RecordingQueue, StoppedClock, bearer


def test_one_delivery_is_sent_again_under_its_message_id_with_all_its_tries(
    wire: Wire, queue: RecordingQueue
) -> None:
    release_id = wire.publish()
    [first] = wire.deliver()
    queue.nudges.clear()
    [shown] = wire.get(f"{wire.path}/deliveries")["items"]
    again = wire.post(f"/v1/deliveries/{shown['id']}/redeliver")
    assert (again.status_code, again.json["state"], queue.nudges) == (202, "due", ["deliver"])
    assert again.json["delivered_at"] == shown["delivered_at"], "that it was taken once is on record"
    for wait in WAITS:
        [held] = wire.deliver(500)
        assert (held.message_id, told([held])) == (first.message_id, [("published", release_id)])
        wire.clock.now += wait * 1.2
    wire.deliver(500)
    [shown] = wire.get(f"{wire.path}/deliveries")["items"]
    assert (shown["state"], len(shown["attempts"])) == ("abandoned", 2 + len(WAITS))
    assert shown["delivered_at"]
    [receiver] = wire.get(f"/v1/releases/{release_id}/receipts")["items"]
    assert receiver["languages"]["en"]["accepted"]


def test_what_something_newer_has_overtaken_is_not_sent_again(wire: Wire) -> None:
    """Least of all the text of a release that was withdrawn."""
    corrected, withdrawn = wire.publish(), wire.publish()
    wire.deliver()
    owed = {item["release_id"]: item["id"] for item in wire.get(f"{wire.path}/deliveries")["items"]}
    wire.correct(corrected)
    wire.withdraw(withdrawn)
    for release_id in (corrected, withdrawn):
        answer = wire.post(f"/v1/deliveries/{owed[release_id]}/redeliver")
        assert (answer.status_code, answer.json["code"]) == (409, "overtaken")
    assert {event for event, _ in told(wire.deliver())} == {"corrected", "withdrawn"}


def test_a_delivery_that_waits_is_sent_at_once_and_one_in_flight_is_left_alone(wire: Wire) -> None:
    wire.publish()
    [held] = wire.claim()
    path = f"/v1/deliveries/{held.delivery_id}/redeliver"
    assert wire.post(path).status_code == 202
    assert wire.claim() == []
    wire.record(held, 500)
    assert wire.claim() == []
    assert wire.post(path).status_code == 202
    assert len(wire.claim()) == 1


def test_a_replay_sends_everything_since_a_time_and_shows_how_far_it_is(wire: Wire, queue: RecordingQueue) -> None:
    older = wire.publish()
    wire.clock.advance(hours=1)
    since = iso(wire.clock())
    first, second, gone = wire.publish(), wire.publish(), wire.publish()
    sent = {claim.delivery_id: claim.message_id for claim in wire.deliver()}
    wire.correct(first)
    wire.withdraw(gone)
    wire.deliver()
    queue.nudges.clear()
    made = wire.post(f"{wire.path}/replay", {"since": since})
    assert (made.status_code, made.json["total"], made.json["planned_at"]) == (202, 0, None)
    assert queue.nudges == ["publish"]
    path = made.headers["Location"].removeprefix(wire.profile.base_url)
    wire.work()
    shown = wire.get(path)
    assert shown["planned_at"] and [shown[n] for n in ("total", "sent", "failed", "remaining")] == [3, 0, 0, 3]
    [head, *_] = wire.claim()
    wire.record(head, FINAL)
    assert [wire.get(path)[n] for n in ("total", "sent", "failed", "remaining")] == [3, 0, 1, 2]
    pushed = [head, *wire.deliver()]
    assert sorted(told(pushed)) == sorted([("withdrawn", gone), ("published", second), ("corrected", first)])
    assert {claim.message_id for claim in pushed if claim.delivery_id in sent} <= set(sent.values())
    assert older not in [release for _, release in told(pushed)]
    wire.work()
    done = wire.get(path)
    assert done["finished_at"] and [done[n] for n in ("total", "sent", "failed", "remaining")] == [3, 2, 1, 0]


def test_a_replay_brings_a_new_subscription_what_was_before_it(wire: Wire) -> None:
    """But nothing that was withdrawn, of which it never heard."""
    releases = [wire.publish() for _ in range(3)]
    wire.withdraw(releases[1])
    wire.deliver()
    new = wire.subscribe("New")
    replay = wire.post(f"{new}/replay", {"since": "2026-01-01T00:00:00Z"}).json
    wire.work()
    assert wire.get(f"{new}/replays/{replay['id']}")["total"] == 2
    assert told(wire.deliver()) == [("published", releases[0]), ("published", releases[2])]


def test_a_subscription_has_one_replay_at_a_time(wire: Wire) -> None:
    wire.publish()
    wire.deliver()
    since = {"since": "2026-01-01T00:00:00Z"}
    first = wire.post(f"{wire.path}/replay", since).json
    answer = wire.post(f"{wire.path}/replay", since)
    assert (answer.status_code, answer.json["code"]) == (409, "replay_running")
    assert first["id"] in answer.json["detail"]
    other = wire.subscribe("Other")
    assert wire.post(f"{other}/replay", since).status_code == 202
    wire.work()
    wire.deliver()
    second = wire.post(f"{wire.path}/replay", since)
    assert second.status_code == 202, "nothing remains of the first, though nobody has said so yet"
    wire.work()
    kept = wire.get(f"{wire.path}/replays/{first['id']}")
    assert (kept["total"], kept["sent"], kept["remaining"]) == (1, 1, 0), "the second takes nothing from its figures"


def test_a_replay_is_planned_in_batches_and_goes_on_where_it_was_cut_off(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    import service.replays

    monkeypatch.setattr(service.replays, "BATCH", 2)
    releases = [wire.publish() for _ in range(5)]
    wire.deliver()
    replay = wire.post(f"{wire.path}/replay", {"since": "2026-01-01T00:00:00Z"}).json
    assert service.replays._plan_batch(wire.storage, wire.profile, uuid.UUID(replay["id"]), wire.clock()) == 2
    assert wire.get(f"{wire.path}/replays/{replay['id']}")["total"] == 2
    pushed = wire.deliver()
    wire.work()
    pushed += wire.deliver()
    assert told(pushed) == [("published", release) for release in releases]
    assert BATCH > 2


def test_a_replay_of_a_subscription_that_ends_finishes(wire: Wire) -> None:
    wire.publish()
    wire.deliver()
    wire.post(f"{wire.path}/replay", {"since": "2026-01-01T00:00:00Z"})
    wire.client.delete(wire.path, headers=wire.headers)
    wire.work()
    with wire.storage.read() as tx:
        open_replays = tx.exec_driver_sql("SELECT count(*) FROM replays WHERE finished_at IS NULL").scalar_one()
    assert open_replays == 0


@pytest.mark.parametrize(("document", "fault"), [
    ({}, ("/since", "missing")), ({"since": "yesterday"}, ("/since", "wrong_moment")),
    ({"since": "2026-11-24T08:00:00"}, ("/since", "wrong_moment")), ({"since": 7}, ("/since", "wrong_type")),
    ({"since": "2026-11-24T08:00:00Z", "until": 1}, ("/until", "unknown_field")),
])
def test_a_replay_needs_a_moment(wire: Wire, document: Any, fault: tuple[str, str]) -> None:
    answer = wire.post(f"{wire.path}/replay", document)
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [fault]


def test_a_partner_sends_only_its_own_once_more(wire: Wire, storage: Storage, clock: StoppedClock) -> None:
    wire.publish()
    [shown] = wire.get(f"{wire.path}/deliveries")["items"]
    replay = wire.post(f"{wire.path}/replay", {"since": "2026-01-01T00:00:00Z"}).json
    rival = bearer(keys.make_key(storage, "rival", Role.PARTNER, clock(), "Rival")[1])
    since = {"since": "2026-01-01T00:00:00Z"}
    hidden = [
        wire.client.post(f"{wire.path}/resume", headers=rival),
        wire.client.post(f"{wire.path}/replay", json=since, headers=rival),
        wire.client.get(f"{wire.path}/replays/{replay['id']}", headers=rival),
        wire.client.post(f"/v1/deliveries/{shown['id']}/redeliver", headers=rival),
    ]
    assert [answer.status_code for answer in hidden] == [404] * 4
    other = wire.subscribe("Other")
    assert wire.client.get(f"{other}/replays/{replay['id']}", headers=wire.headers).status_code == 404
    for id in (uuid.uuid4(), "x"):
        assert wire.post(f"/v1/deliveries/{id}/redeliver").status_code == 404


@pytest.mark.parametrize(("path", "document"), [
    ("/v1/subscriptions", {"partner": "A\0B"}), ("/v1/keys", {"name": "a\0b", "role": "staff"}),
    ("/v1/keys", {"name": "a", "role": "partner", "partner": "A\0B"}),
])
def test_a_nul_is_a_fault_on_either_database(wire: Wire, path: str, document: dict[str, Any]) -> None:
    order = {"channel": "webhook", "callback": "https://daily.example/", "languages": ["en"]}
    answer = wire.post(path, document | (order if path.endswith("subscriptions") else {}))
    assert answer.status_code == 422
    assert {error["code"] for error in answer.json["errors"]} == {"not_one_line"}


def test_tests_to_one_host_are_limited_within_an_hour_over_all_subscriptions(wire: Wire) -> None:
    """Else a partner's key could have us flood somebody else."""
    paths = [wire.path, wire.subscribe()]
    for number in range(MOST_AN_HOUR):
        assert wire.post(f"{paths[number % 2]}/test").status_code == 202
        wire.clock.advance(seconds=1)
    refused = wire.post(f"{wire.path}/test")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_tests")
    assert wire.post(f"{wire.subscribe('Other')}/test").status_code == 202, "another host has its own"
    wire.clock.advance(seconds=int(refused.headers["Retry-After"]) - 1)
    assert wire.post(f"{wire.path}/test").status_code == 429
    wire.clock.advance(seconds=1)
    assert wire.post(f"{paths[1]}/test").status_code == 202


def test_a_partner_has_only_so_many_replays_at_a_time(wire: Wire) -> None:
    wire.publish()
    paths = [wire.path, *(wire.subscribe() for _ in range(MOST_OPEN))]
    since = {"since": "2026-01-01T00:00:00Z"}
    answers = [wire.post(f"{path}/replay", since) for path in paths]
    assert [answer.status_code for answer in answers] == [202] * MOST_OPEN + [409]
    assert answers[-1].json["code"] == "too_many_replays"
    assert wire.post(f"{wire.subscribe('Other')}/replay", since).status_code == 202
    wire.work()
    wire.deliver()
    wire.work()
    assert wire.post(f"{paths[-1]}/replay", since).status_code == 202


def test_a_replay_since_a_time_to_come_is_refused_with_its_place(wire: Wire) -> None:
    answer = wire.post(f"{wire.path}/replay", {"since": iso(wire.clock() + timedelta(seconds=1))})
    assert (answer.status_code, [fault["pointer"] for fault in answer.json["errors"]]) == (422, ["/since"])
    assert wire.post(f"{wire.path}/replay", {"since": iso(wire.clock())}).status_code == 202


def test_who_is_resumed_while_a_replay_is_planned_misses_none_of_it(
    wire: Wire, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is planned for a paused subscription is kept, and resuming has it sent: so one waits for the other."""
    release_id = wire.publish()
    wire.deliver()
    order = {"partner": "Late", "channel": "webhook", "callback": "https://late.example/", "languages": ["en"]}
    late = wire.post("/v1/subscriptions", order).json
    path = f"/v1/subscriptions/{late['id']}"
    since = iso(wire.clock() - timedelta(days=1))
    assert wire.post(f"{path}/replay", {"since": since}).status_code == 202
    with wire.storage.write() as tx:
        is_late = subscription_rows.c.id == uuid.UUID(late["id"])
        tx.execute(subscription_rows.update().where(is_late).values(state="paused", paused_at=wire.clock()))
    resuming = threading.Thread(target=lambda: wire.post(f"{path}/resume"))
    send = replays._send

    def send_meanwhile(*of: Any) -> None:
        resuming.start()
        resuming.join(1)
        send(*of)

    monkeypatch.setattr(replays, "_send", send_meanwhile)
    list(plan_replays(wire.storage, profile, wire.clock))
    resuming.join(20)
    assert wire.get(path)["state"] == "active"
    assert told(wire.deliver()) == [("published", release_id)]
