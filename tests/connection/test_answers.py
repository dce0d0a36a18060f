"""Over real sockets: what is remembered is said as HTTP says it, and in its order."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.connection.peers import ASKED, FEED, KNOWN, Watch, client, head, pieces, read, read_from, serving


def test_what_is_remembered_is_said_as_http_says_it(port: int) -> None:
    with client(port) as sock:
        for fields, status, body in (({}, 200, FEED.body), ({"If-None-Match": '"f"'}, 304, b""), ({}, 200, FEED.body)):
            sock.sendall(head(**fields))
            response, said = read(sock)
            assert (response.status, said, response.version) == (status, body, 11)
            assert response.headers["ETag"] == '"f"'
            age = datetime.now(UTC) - parsedate_to_datetime(response.headers["Date"])
            assert abs(age.total_seconds()) < 60


@pytest.mark.parametrize("paths", [
    ["/slow", KNOWN, "/a"], [KNOWN, "/slow", "/a", KNOWN, "/b", KNOWN], ["/a", KNOWN, "/b", KNOWN, "/c"], [KNOWN] * 20,
])
def test_requests_that_come_together_are_answered_in_their_order(port: int, paths: list[str]) -> None:
    with client(port) as sock:
        for _ in range(2):
            sock.sendall(b"".join(map(head, paths)))
            stream = sock.makefile("rb")
            for path in paths:
                # What waits for another's answer may be asked of the application.
                assert read_from(stream) in ({path.encode(), FEED.body} if path == KNOWN else {path.encode()})


def test_after_the_answer_to_head_the_next_begins_at_once(port: int) -> None:
    with client(port) as sock:
        sock.sendall(head(method="HEAD"))
        response, _ = read(sock, "HEAD")
        assert response.headers["Content-Length"] == "60000"
        sock.sendall(head("/a"))
        assert read(sock)[1] == b"/a"


@pytest.mark.parametrize("request_head", [
    head(Connection="close"), head(version="1.0"), head(version="1.0", Connection="keep-alive"),
])
def test_who_wants_no_more_is_let_go(port: int, request_head: bytes) -> None:
    with client(port) as sock:
        sock.sendall(request_head)
        response, body = read(sock)
        assert (body, response.headers["Connection"]) == (FEED.body, "close")
        assert sock.recv(1) == b""
    with client(port) as sock:
        sock.sendall(request_head + head("/never", "POST"))
        assert b"".join(pieces(sock)).endswith(FEED.body)
    assert "/never" not in ASKED


def test_of_another_generation_the_application_is_asked(port: int, watch: Watch) -> None:
    watch.number = 2
    with client(port) as sock:
        for _ in range(2):
            sock.sendall(head())
            assert read(sock)[1] == KNOWN.encode()


def test_a_body_that_nobody_asked_for_is_no_request(port: int) -> None:
    with client(port) as sock:
        for _ in range(2):
            sock.sendall(head(**{"Content-Length": "18"}) + b"GET / HTTP/1.1\r\n\r\n")
            assert read(sock)[1] == FEED.body
        sock.sendall(head("/a"))
        assert read(sock)[1] == b"/a"


def test_who_leaves_before_the_answer_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Watch(0.1)) as port:
        for said in (head(), head("/big") + head("/slow") + head(), head("/slow") + head("/big")):
            with client(port) as sock:
                sock.sendall(said)
                # Closed so, it is reset.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with client(port) as sock:
            sock.sendall(head("/slow?0.5"))
            assert read(sock)[1] == b"/slow"
    assert caplog.records == []


@pytest.mark.parametrize("date", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Tue, 01 Dec 2026 00:00:99999999999999 GMT"])
def test_a_date_that_cannot_be_is_no_condition(port: int, date: str) -> None:
    with client(port) as sock:
        sock.sendall(head(**{"If-Modified-Since": date}))
        assert read(sock)[1] == FEED.body


def test_what_follows_a_body_is_no_field_of_the_head(port: int) -> None:
    with client(port) as sock:
        for _ in range(2):
            chunked = head("/fields", "POST", **{"Transfer-Encoding": "chunked"})
            sock.sendall(chunked + b"1\r\nx\r\n0\r\n" + b"Authorization: x\r\n" * 500 + b"\r\n")
            assert read(sock)[1] == b"host transfer-encoding"


def test_a_fault_behind_a_request_is_no_part_of_its_answer(port: int) -> None:
    for path in ("/slow", "/big"):
        with client(port) as sock:
            sock.sendall(head(path) + b"no request at all\r\n\r\n")
            assert b"400" not in b"".join(pieces(sock))


def test_nothing_follows_an_upgrade(port: int) -> None:
    """What the parser drops might be a head, and its body would be read as a request."""
    for path, said in (("/a", b"/a"), (KNOWN, FEED.body)):
        with client(port) as sock:
            sock.sendall(head(path, Connection="Upgrade", Upgrade="h2c") + head("/b"))
            with suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(head("/c"))
            answer = b"".join(pieces(sock))
            assert (answer.count(b"HTTP/1.1 "), answer.endswith(said)) == (1, True)
