"""What tests ask of a hub, and what they demand of all that it sends."""

from __future__ import annotations

import hmac
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import sqlalchemy as sa

from service.storage import Storage
from tests.conftest import ROOT
from tests.faults.processes import Service, wait_until
from tests.websub.subscriber import Callback, Distribution


def post(service: Service, fields: dict[str, str], **headers: str) -> tuple[int, dict[str, str], str]:
    data = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(f"{service.base_url}/hub", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()


def ask(service: Service, mode: str, topic: str, callback: Callback, **more: str) -> int:
    fields = {"hub.mode": mode, "hub.topic": service.base_url + topic, "hub.callback": callback.url}
    return post(service, fields | {f"hub.{name}": value for name, value in more.items()})[0]


def subscribe(service: Service, topic: str, callback: Callback, **more: str) -> dict[str, str]:
    """The question that the callback confirmed, once that is on record."""
    asked = len(callback.questions)
    assert ask(service, "subscribe", topic, callback, **more) == 202
    question = callback.await_question(asked + 1)
    wait_until(lambda: not count_waiting(service.storage, callback), "the intent is settled", service.read_logs)
    return question


def unsubscribe(service: Service, topic: str, callback: Callback) -> None:
    asked = len(callback.questions)
    assert ask(service, "unsubscribe", topic, callback) == 202
    callback.await_question(asked + 1)
    wait_until(lambda: not count_waiting(service.storage, callback), "the intent is settled", service.read_logs)


def count_waiting(storage: Storage, callback: Callback) -> int:
    return select(storage, "SELECT count(*) FROM intents WHERE state = 'due' AND callback = :callback", callback)


def select(storage: Storage, statement: str, callback: Callback) -> Any:
    with storage.read() as tx:
        return tx.execute(sa.text(statement), {"callback": callback.url}).scalar()


def publish(service: Service) -> str:
    """A release in every feed of its languages; its id."""
    document = json.loads((ROOT / "examples/release.json").read_text("utf-8"))
    del document["slug"]
    return service.call("/v1/releases", document)["id"]


def fetch(service: Service, topic: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(service.base_url + topic, timeout=20) as answer:
        return answer.read(), answer.headers


def links(value: str) -> list[tuple[str, str]]:
    return sorted(re.findall(r'<([^>]+)>; rel="([^"]+)"', value))


def require_distribution(service: Service, topic: str, sent: Distribution, secret: str | None = None) -> None:
    """What websub.rocks demands of each: full content, its own media type, hub and self, a signature iff a secret."""
    body, headers = fetch(service, topic)
    assert sent.body and sent.body == body
    assert sent.headers["content-type"] == headers["Content-Type"]
    assert links(sent.headers["link"]) == [
        (service.base_url + topic, "self"), (f"{service.base_url}/hub", "hub"),
    ] == links(headers["Link"])
    if secret is None:
        assert "x-hub-signature" not in sent.headers
    else:
        expected = hmac.new(secret.encode(), sent.body, "sha256").hexdigest()
        assert sent.headers["x-hub-signature"] == f"sha256={expected}"


def count_active(storage: Storage) -> int:
    with storage.read() as tx:
        return tx.exec_driver_sql("SELECT count(*) FROM subscriptions WHERE state = 'active'").scalar() or 0
