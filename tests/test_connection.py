"""Over real sockets: what is remembered is said in its order, and no client holds a place or memory for long."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from typing import Any

import pytest
import uvicorn

from service import connection
from service.connection import MOST_HEAD_BYTES, Connection
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
        asyncio.get_running_loop().call_later(self._delay_seconds or 0, tell, self.number)

    def close(self) -> None: ...


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says the path, for `/slow` after as many seconds as the query says, and very much for `/big`."""
    body = BIG if scope["path"] == "/big" else scope["path"].encode()
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
        with client(port) as sock:
            sock.sendall(head())
        with client(port) as sock:
            sock.sendall(head("/slow") + head())
            assert read_from(sock.makefile("rb")) == b"/slow"
    assert caplog.records == []


def test_who_asks_on_and_takes_nothing_is_not_heard_on(port: int) -> None:
    """Answers would pile up in memory: this asks for 60 GB."""
    with client(port) as sock:
        sock.settimeout(2)
        with pytest.raises((TimeoutError, ConnectionResetError, BrokenPipeError)):
            for _ in range(10_000):
                sock.sendall(head() * 100)


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


def test_who_takes_nothing_loses_the_place(short_patience: None, port: int) -> None:
    with slow_reader(port, "/big") as sock:
        time.sleep(1)
        assert 0 < _take(sock) < len(BIG)


def test_who_takes_little_by_little_gets_all(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 1)
    with slow_reader(port, "/big") as sock:
        taken = 0
        for _ in range(25):
            time.sleep(0.1)
            taken += len(sock.recv(65536))
        assert taken + _take(sock) > len(BIG)


def _take(sock: socket.socket) -> int:
    """How many bytes come until the end."""
    taken = 0
    with suppress(ConnectionResetError):
        while piece := sock.recv(1 << 20):
            taken += len(piece)
    return taken


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
