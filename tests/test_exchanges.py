"""A partner sees of each attempt what was sent to it and what its server answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from flask.testing import FlaskClient

from service import keys
from service.exchanges import KEPT_FOR
from service.model import Role
from service.networks import AllowedNetworks
from service.retention import clear_exchanges
from service.storage import Storage
from service.views import iso
from tests.conftest import VAULT, StoppedClock, bearer
from tests.faults.processes import wait_until
from workers.outbound import Outbound

Headers = dict[str, str]
HOSTILE = (
    b"HTTP/1.1 503 No\r\nRetry-After: 600\r\nX-Odd: a\x1b[2Jb\xe9\r\nSet-Cookie: session=hunter2\r\n"
    + b"".join(b"X-Long-%d: %s\r\n" % (number, b"x" * 1000) for number in range(12))
    + b"Content-Length: 5000\r\nConnection: close\r\n\r\n" + (b"\x00\xff\x1b" + "错误".encode() + b"e" * 5000)[:5000]
)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives these bytes to whoever connects, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture
def deliver(workers_app: Celery, storage: Storage, clock: StoppedClock) -> Any:
    """Sends what is due until one more attempt is on record."""
    from workers.courier import Courier

    def deliver() -> None:
        with storage.read() as tx:
            before = tx.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one()
        own = Storage(storage.url, vault=VAULT)
        courier = Courier(own, Outbound(AllowedNetworks.parse("127.0.0.0/8")), "one", clock)
        courier.start()
        courier.nudge()
        try:
            wait_until(lambda: count(storage) > before, "an attempt is on record")
        finally:
            courier.stop()
            own.close()

    return deliver


def count(storage: Storage) -> int:
    with storage.read() as tx:
        found: int = tx.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one()
        return found


def test_a_partner_sees_both_sides_of_its_own_deliveries(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, deliver: Any
) -> None:
    daily, rival = (
        bearer(keys.make_key(storage, name, Role.PARTNER, clock(), name)[1]) for name in ("Daily", "Rival")
    )
    with answering(HOSTILE) as url:
        order = {"partner": "Daily", "channel": "webhook", "callback": url, "languages": ["en"]}
        made = client.post("/v1/subscriptions", json=order, headers=daily).json
        owed = client.post(f"/v1/subscriptions/{made['id']}/test", headers=daily).json
        deliver()
    path = f"/v1/subscriptions/{made['id']}/deliveries"
    told = client.get(f"{path}/{owed['id']}", headers=daily).json
    [attempt] = told["attempts"]
    assert (told["state"], attempt["status"], attempt["error"]) == ("due", 503, None)
    sent, came = attempt["request_headers"], attempt["response_headers"]
    assert sent["webhook-id"] == owed["message_id"] and sent["content-type"] == "application/json"
    assert sent["webhook-signature"].startswith("v1,") and len(sent["webhook-signature"]) == len("v1,") + 5
    assert (came["retry-after"], came["x-odd"], came["set-cookie"]) == ("600", "a\ufffd[2Jbé", "…")
    assert sum(len(name) + len(value) for name, value in came.items()) <= 8192
    assert attempt["response_body"].startswith("\ufffd\ufffd\ufffd错误eee")
    assert len(attempt["response_body"]) < 2048
    [listed] = client.get(path, headers=daily).json["items"]
    assert "request_headers" not in listed["attempts"][0]
    assert client.get(f"{path}/{owed['id']}", headers=rival).status_code == 404
    assert client.get(f"{path}/{owed['id']}", headers=staff).status_code == 200


@pytest.mark.parametrize("answer", [b"", HOSTILE])
def test_no_log_tells_a_secret(
    client: FlaskClient, staff: Headers, deliver: Any, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    with caplog.at_level("DEBUG"), answering(answer) as url:
        order = {"partner": "Daily", "channel": "webhook", "callback": url, "languages": ["en"]}
        made = client.post("/v1/subscriptions", json=order, headers=staff).json
        new = client.post(f"/v1/subscriptions/{made['id']}/rotate-secret", headers=staff).json
        client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff)
        deliver()
    told = caplog.text + repr([vars(record) for record in caplog.records])
    assert not any(secret.removeprefix("whsec_") in told for secret in (made["secret"], new["secret"]))


def test_of_an_attempt_without_an_answer_the_request_is_kept(
    client: FlaskClient, staff: Headers, deliver: Any
) -> None:
    with answering(b"") as url:
        order = {"partner": "Daily", "channel": "webhook", "callback": url, "languages": ["en"]}
        made = client.post("/v1/subscriptions", json=order, headers=staff).json
        owed = client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff).json
        deliver()
    [attempt] = client.get(f"/v1/subscriptions/{made['id']}/deliveries/{owed['id']}", headers=staff).json["attempts"]
    assert attempt["error"] == "connection_lost" and attempt["request_headers"]["webhook-id"] == owed["message_id"]
    assert (attempt["response_headers"], attempt["response_body"]) == (None, None)


def test_a_partner_sees_that_an_exchange_was_cleared(
    client: FlaskClient, staff: Headers, storage: Storage, clock: StoppedClock, deliver: Any
) -> None:
    """Not that nothing was sent and nothing came."""
    with answering(HOSTILE) as url:
        order = {"partner": "Daily", "channel": "webhook", "callback": url, "languages": ["en"]}
        made = client.post("/v1/subscriptions", json=order, headers=staff).json
        owed = client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff).json
        deliver()
    path = f"/v1/subscriptions/{made['id']}/deliveries/{owed['id']}"
    [before] = client.get(path, headers=staff).json["attempts"]
    clock.now += KEPT_FOR + timedelta(hours=1)
    assert clear_exchanges(storage, clock()) == 1
    [after] = client.get(path, headers=staff).json["attempts"]
    assert before["exchange_cleared_at"] is None
    assert after == before | {
        "request_headers": None, "response_headers": None, "response_body": None, "exchange_cleared_at": iso(clock()),
    }


def test_a_delivery_is_found_at_its_own_subscription_alone(client: FlaskClient, staff: Headers) -> None:
    order = {"partner": "Daily", "channel": "webhook", "callback": "https://d.example/", "languages": ["en"]}
    first, second = (client.post("/v1/subscriptions", json=order, headers=staff).json for _ in range(2))
    owed = client.post(f"/v1/subscriptions/{first['id']}/test", headers=staff).json
    answer = client.get(f"/v1/subscriptions/{second['id']}/deliveries/{owed['id']}", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert client.get(f"/v1/subscriptions/{first['id']}/deliveries/{owed['id']}", headers=staff).json["attempts"] == []
