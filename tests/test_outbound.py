"""The one way out: no partner holds us, fools us or is reached where it must not be."""

from __future__ import annotations

import gzip
import select
import socket
import threading
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.networks import AllowedNetworks
from tests.raw import Behave, answer, drip, flood, reset, run_partner
from workers.outbound import Outbound, Request, Response

RESPONSE_LIMIT = 16_384
LOOPBACK = AllowedNetworks.parse("127.0.0.0/8")


def post(url: str, allowed: AllowedNetworks = LOOPBACK, deadline_seconds: float = 0.6) -> Response:
    outbound = Outbound(allowed, deadline_seconds=deadline_seconds)
    outbound.start(Request(url, b"{}", {"content-type": "application/json"}), "it")
    [(context, response)] = outbound.wait(20)
    outbound.close()
    assert context == "it"
    return response


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Mark: yes\r\n\r\nok"


def test_an_answer_is_handed_back() -> None:
    with run_partner(answer(OK)) as (url, _):
        response = post(url)
    assert (response.status, response.error, response.body) == (200, None, b"ok")
    assert response.headers["x-mark"] == "yes"


def test_without_epoll_poll_does_and_keeps_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    patience_ended: list[bool] = []
    with run_partner(answer(OK)) as (url, _):
        assert post(url).status == 200
    with run_partner(lambda connection, over: over.wait(20) or patience_ended.append(True)) as (url, _):
        assert post(url).error == "deadline_exceeded" and not patience_ended


def test_an_interim_answer_leaves_nothing_in_the_last() -> None:
    with run_partner(answer(b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n" + OK)) as (url, _):
        response = post(url)
    assert (response.status, response.headers) == (200, {"content-length": "2", "x-mark": "yes"})


def test_nothing_of_a_request_is_in_the_next_one() -> None:
    """Handles are used again, most of them as they are."""
    came: list[tuple[str, str | None, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            type_ = (self.headers["content-type"] or "").partition(";")[0]
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            came.append((self.command, type_, self.headers["x-once"], body if type_ != "multipart/form-data" else b""))
            self.send_response(204)
            self.end_headers()

        do_GET = do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            pass

    plain = {"content-type": "text/plain"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        outbound = Outbound(LOOPBACK)
        for request in (
            Request(url, b"first", plain | {"x-once": "1"}), Request(url, b"2nd", plain),
            Request(url, b"", {"x-once": "2"}, method="GET"), Request(url, b"third", plain),
            Request(url, b"", {}, form={"a": "b"}), Request(url, b"put", plain, method="PUT"), Request(url, b"", plain),
        ):
            outbound.start(request, request)
            [(context, response)] = outbound.wait(10)
            assert context is request and response.request is request and response.status == 204
        outbound.close()
        server.shutdown()
    assert came == [
        ("POST", "text/plain", "1", b"first"), ("POST", "text/plain", None, b"2nd"), ("GET", "", "2", b""),
        ("POST", "text/plain", None, b"third"), ("POST", "multipart/form-data", None, b""),
        ("PUT", "text/plain", None, b"put"), ("POST", "text/plain", None, b""),
    ]


def test_a_redirect_is_not_followed() -> None:
    with run_partner(answer(OK)) as (inner, reached):
        redirect = f"HTTP/1.1 302 Found\r\nlocation: {inner}\r\ncontent-length: 0\r\n\r\n".encode()
        with run_partner(answer(redirect)) as (url, _):
            assert post(url).status == 302
        assert reached == []


@pytest.mark.parametrize("behave", [
    lambda connection, over: over.wait(20),
    drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100),
    drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 100),
], ids=["silence", "slow head", "slow body"])
def test_the_deadline_covers_everything(behave: Behave) -> None:
    with run_partner(behave) as (url, _):
        response = post(url)
    assert (response.status, response.error) == (None, "deadline_exceeded")


def test_an_endless_body_is_cut() -> None:
    with run_partner(flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as (url, _):
        response = post(url, deadline_seconds=10)
    assert (response.status, len(response.body)) == (200, RESPONSE_LIMIT)


def test_a_packed_bomb_is_cut() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    with run_partner(answer(head + bomb)) as (url, _):
        response = post(url, deadline_seconds=10)
    assert (response.status, len(response.body)) == (200, RESPONSE_LIMIT)


def test_endless_headers_are_refused() -> None:
    with run_partner(flood(b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1000 + b"\r\n")) as (url, _):
        response = post(url, deadline_seconds=10)
    assert response.status is None
    assert response.error != "deadline_exceeded"


def test_endless_interim_answers_are_refused() -> None:
    with run_partner(flood(b"", b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" * 100)) as (url, _):
        response = post(url, deadline_seconds=10)
    assert (response.status, response.error) == (None, "headers_too_large")


@pytest.mark.parametrize("raw", [
    b"220 mail.example ESMTP\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone",
], ids=["another protocol", "no status", "negative length", "bad chunk", "not packed"])
def test_an_answer_that_is_none_is_no_success(raw: bytes) -> None:
    with run_partner(answer(raw)) as (url, _):
        response = post(url)
    assert response.status is None and response.error


def test_more_than_was_announced_is_not_read() -> None:
    with run_partner(answer(OK + b"and HTTP/1.1 410 Gone\r\n\r\n")) as (url, _):
        response = post(url)
    assert (response.status, response.body) == (200, b"ok")


def test_a_reset_in_the_midst_is_no_success() -> None:
    with run_partner(reset) as (url, _):
        assert post(url).error == "connection_lost"


@pytest.mark.parametrize("raw", [
    b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort", b"HTTP/1.1 200 OK\r\ncontent-len",
    b"HTTP/1.1 200 OK\r\nx: y\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
])
def test_a_lost_connection_is_no_success(raw: bytes) -> None:
    with run_partner(answer(raw)) as (url, _):
        assert post(url).error == "connection_lost"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_a_refused_address_is_never_connected_to(host: str) -> None:
    """Vetted when the socket would be opened, so a name that turns to loopback gains nothing."""
    with run_partner(answer(OK)) as (url, accepted):
        assert post(url.replace("127.0.0.1", host), AllowedNetworks()).error == "address_refused"
        assert accepted == []


def test_each_address_of_a_name_is_vetted() -> None:
    """The one that is allowed does not answer; the other, which would, is not asked."""
    with run_partner(answer(OK)) as (url, accepted):
        assert post(url.replace("127.0.0.1", "localhost"), AllowedNetworks.parse("::1/128")).status is None
        assert accepted == []


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_partner(answer(OK)) as (proxy, asked), run_partner(answer(OK)) as (url, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert post(url).status == 200
        assert asked == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://[::"])
def test_a_url_that_is_none_is_an_answer_not_a_crash(url: str) -> None:
    assert post(url).status is None


def test_plain_text_behind_https_fails_the_handshake() -> None:
    def speak_plainly(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(OK)

    with run_partner(speak_plainly, is_secure=True) as (url, _):
        assert post(url.replace("http:", "https:")).error == "tls_failed"


def test_hanging_partners_hold_no_other() -> None:
    with run_partner(lambda connection, over: over.wait(20)) as (slow, _), run_partner(answer(OK)) as (quick, _):
        outbound = Outbound(LOOPBACK, deadline_seconds=15)
        for number in range(100):
            outbound.start(Request(slow if number % 5 == 0 else quick, b"", {}), number)
        finished: list[int] = []
        while len(finished) < 80:
            got = outbound.wait(10)
            assert got, "the healthy ones wait for the hanging"
            finished += [number for number, response in got if response.status == 200]
        assert outbound.in_flight == 20
        outbound.close()
    assert not {number for number in finished if number % 5 == 0}


def test_wake_ends_the_wait() -> None:
    outbound = Outbound(LOOPBACK)
    waiter = threading.Thread(target=outbound.wait, args=(60,))
    waiter.start()
    outbound.wake()
    waiter.join(10)
    assert not waiter.is_alive()
    outbound.close()


def test_what_was_sent_is_kept_no_longer_than_its_answer() -> None:
    """A claim holds the secrets of a partner, and a handle is used again after hours."""
    class Context:
        pass

    context = Context()
    known = weakref.ref(context)
    outbound = Outbound(LOOPBACK)
    with run_partner(answer(OK)) as (url, _):
        outbound.start(Request(url, b"{}", {}), context)
        [(handed_back, response)] = outbound.wait(20)
    assert handed_back is context and response.status == 200
    del handed_back, context
    assert known() is None
    outbound.close()
