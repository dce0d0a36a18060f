"""Over real sockets: no client holds a place or memory for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from service import connection
from service.connection import MOST_FIELDS, MOST_HEAD_BYTES, MOST_PIPELINED
from tests.connection.peers import BIG, FEED, PATIENCE_SECONDS, client, head, pieces, read, take
from tests.faults.processes import wait_until


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
        assert b"".join(pieces(sock)).count(b"HTTP/1.1 200 ") < MOST_PIPELINED


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.2)


@pytest.mark.parametrize("said", [b"", b"G", head()[:-1], head() + b"GET", b"POST / HTTP/1.1\r\nHost: x\r\nA"])
def test_a_head_that_does_not_come_is_not_waited_for(short_patience: None, port: int, said: bytes) -> None:
    with client(port) as sock:
        sock.sendall(said)
        take(sock)


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
        assert 0 < take(sock) < len(BIG)


def test_who_takes_little_by_little_gets_all(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 2)
    with slow_reader(port, "/big") as sock:
        taken = 0
        for _ in range(50):
            time.sleep(0.1)
            taken += len(sock.recv(65536))
        assert taken + take(sock) > len(BIG)


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
