"""Over real sockets: what is remembered is said in its order, and no client holds a place or memory for long."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service import connection
from service.connection import MOST_FIELDS, MOST_HEAD_BYTES, MOST_PIPELINED, Connection
from service.hatch import Hatch
from service.memory import Memory
from service.model import Document
from tests.faults.processes import free_port, wait_until

PATIENCE_SECONDS = 20.0
KNOWN = "/feeds/en.atom"
FEED = Document(
    path=KNOWN, media_type="application/atom+xml", body=b"f" * 60_000, gzip_body=b"p", etag="f", gzip_etag="p",
    last_modified=datetime(2026, 12, 1, tzinfo=UTC),
)
BIG = b"b" * 20_000_000


class Watch:
    """The number is ``number``; with ``delay_seconds`` it can't be told at once."""

    def __init__(self, delay_seconds: float | None) -> None:
        self.number, self._delay_seconds = 1, delay_seconds

    def look(self) -> int | None:
        return self.number if self._delay_seconds is None else None

    def ask(self, tell: Callable[[int | None], object]) -> None:
        if self._delay_seconds is None:
            tell(self.number)
        else:
            asyncio.get_running_loop().call_later(self._delay_seconds, tell, self.number)

    def close(self) -> None: ...


# The paths that the application was asked for.
ASKED: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says the path, for `/slow` after as many seconds as the query says; for `/fields` what fields came, for `/big`
    very much."""
    ASKED.append(scope["path"])
    body = BIG if scope["path"] == "/big" else scope["path"].encode()
    if scope["path"] == "/fields":
        while (await receive()).get("more_body"):
            pass
        body = b" ".join(name for name, _ in scope["headers"])
    if scope["path"] == "/slow":
        await asyncio.sleep(float(scope["query_string"] or 0.1))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    for start in range(0, len(body), 65536):
        await send({"type": "http.response.body", "body": body[start:start + 65536], "more_body": True})
    await send({"type": "http.response.body"})


@contextmanager
def serving(watch: Watch) -> Iterator[int]:
    memory = Memory()
    memory.keep(1, FEED)
    port = free_port()
    config = uvicorn.Config(
        Hatch(app, memory, watch), port=port, http=Connection, loop="uvloop", interface="asgi3", lifespan="off",
        ws="none", proxy_headers=False, server_header=False, access_log=False, log_config=None, log_level="error",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the server has started")
        yield port
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture(params=[None, 0.01], ids=["at once", "later"])
def watch(request: pytest.FixtureRequest) -> Watch:
    return Watch(request.param)


@pytest.fixture
def port(watch: Watch) -> Iterator[int]:
    with serving(watch) as port:
        yield port


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as sock:
        yield sock


def head(path: str = KNOWN, method: str = "GET", version: str = "1.1", **fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _pieces(sock: socket.socket) -> Iterator[bytes]:
    """All that comes until the end."""
    with suppress(ConnectionResetError):
        while piece := sock.recv(1 << 20):
            yield piece


def _take(sock: socket.socket) -> int:
    """How many bytes come until the end."""
    return sum(map(len, _pieces(sock)))


def read(sock: socket.socket, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(sock, method=method)
    response.begin()
    return response, response.read()


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


def read_from(stream: Any) -> bytes:
    """The next body of several in one stream."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split()[1])
    body: bytes = stream.read(length)
    return body


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
        assert b"".join(_pieces(sock)).endswith(FEED.body)
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
            assert b"400" not in b"".join(_pieces(sock))


def test_nothing_follows_an_upgrade(port: int) -> None:
    """What the parser drops might be a head, and its body would be read as a request."""
    for path, said in (("/a", b"/a"), (KNOWN, FEED.body)):
        with client(port) as sock:
            sock.sendall(head(path, Connection="Upgrade", Upgrade="h2c") + head("/b"))
            with suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(head("/c"))
            answer = b"".join(_pieces(sock))
            assert (answer.count(b"HTTP/1.1 "), answer.endswith(said)) == (1, True)


def test_who_asks_on_and_takes_nothing_is_not_heard_on(port: int) -> None:
    """Answers would pile up in memory: this asks for 60 GB."""
    with client(port) as sock:
        sock.settimeout(2)
        with pytest.raises((TimeoutError, ConnectionResetError, BrokenPipeError)):
            for _ in range(10_000):
                sock.sendall(head() * 100)


def test_so_many_requests_at_once_are_not_answered(port: int) -> None:
    with client(port) as sock:
        sock.sendall(head("/slow") + head("/a") * (MOST_PIPELINED + 1) + head("/a", Connection="close"))
        assert b"".join(_pieces(sock)).count(b"HTTP/1.1 200 ") < MOST_PIPELINED


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.2)


@pytest.mark.parametrize("said", [b"", b"G", head()[:-1], head() + b"GET", b"POST / HTTP/1.1\r\nHost: x\r\nA"])
def test_a_head_that_does_not_come_is_not_waited_for(short_patience: None, port: int, said: bytes) -> None:
    with client(port) as sock:
        sock.sendall(said)
        _take(sock)


def test_a_head_that_drips_is_not_waited_for(short_patience: None, port: int) -> None:
    with client(port) as sock, pytest.raises((ConnectionResetError, BrokenPipeError)):
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(2000):
            sock.sendall(b"x")
            time.sleep(0.01)


def test_while_the_application_thinks_nobody_is_let_go(short_patience: None, port: int) -> None:
    with client(port) as sock:
        sock.sendall(head("/slow?0.8"))
        assert read(sock)[1] == b"/slow"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system knows no such bound")
def test_who_takes_nothing_loses_the_place(short_patience: None, port: int) -> None:
    with slow_reader(port, "/big") as sock:
        wait_until(lambda: not is_held(port, sock), "the server has let go")
        assert 0 < _take(sock) < len(BIG)


def test_who_takes_little_by_little_gets_all(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 2)
    with slow_reader(port, "/big") as sock:
        taken = 0
        for _ in range(50):
            time.sleep(0.1)
            taken += len(sock.recv(65536))
        assert taken + _take(sock) > len(BIG)


def is_held(port: int, sock: socket.socket) -> bool:
    """Whether the server still has its end (proc(5): a connection that is established is in state 01)."""
    theirs = f"0100007F:{port:04X} 0100007F:{sock.getsockname()[1]:04X} 01"
    return theirs in Path("/proc/net/tcp").read_text("ascii")


@contextmanager
def slow_reader(port: int, path: str) -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.settimeout(PATIENCE_SECONDS)
        sock.sendall(head(path, Connection="close"))
        yield sock


def test_a_head_without_end_is_refused(port: int) -> None:
    with client(port) as sock, suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(10_000):
            sock.sendall(b"x" * 1024)
        pytest.fail("ten million bytes of a head were taken")
    with client(port) as sock:
        sock.sendall(head(X="x" * (MOST_HEAD_BYTES // 2)))
        assert read(sock)[1] == FEED.body
        sock.sendall(head(**{f"X-{number}": "" for number in range(MOST_FIELDS)}))
        assert read(sock)[0].status == 431
        assert sock.recv(1) == b""


def test_beyond_so_many_connections_the_next_is_told_to_come_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 5)
    with ExitStack() as stack:
        for _ in range(5):
            sock = stack.enter_context(client(port))
            sock.sendall(head("/a"))
            assert read(sock)[1] == b"/a"
        with client(port) as late:
            response, _ = read(late)
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
    wait_until(lambda: _is_answered(port), "their places are free")


def _is_answered(port: int) -> bool:
    with client(port) as sock:
        sock.sendall(head("/a"))
        return read(sock)[0].status == 200
