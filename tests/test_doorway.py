"""No slow client stops another, over the real server, which has fewer threads than it gets guests."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service import keys
from service.clock import utc_now
from service.doorway import MOST_BODIES, Message
from service.model import Role
from tests.doors import BIG_PIECES, LIMIT, PIECE, app
from tests.faults.processes import run_service, wait_until
from tests.servers import CHUNKED, PATIENCE_SECONDS, fetch, serve


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve("tests.doors:app") as port:
        yield port


@contextmanager
def unfinished(port: int, count: int, path: str = "/", key: str = "a") -> Iterator[list[socket.socket]]:
    """So many posts of which only the first byte comes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 500\r\n"
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for each in sockets:
            each.settimeout(PATIENCE_SECONDS)
            each.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        yield sockets


def test_a_body_that_does_not_come_is_answered_408_and_its_connection_closed(port: int) -> None:
    with unfinished(port, 1) as [slow]:
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_answered_408(port: int) -> None:
    with unfinished(port, 1) as [slow]:
        slow.settimeout(0.1)
        answer = b""
        for _ in range(100):
            slow.sendall(b" ")
            try:
                answer = slow.recv(65536)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_unfinished_posts_of_one_caller_keep_nobody_elses_request_waiting(port: int) -> None:
    with unfinished(port, MOST_BODIES):
        assert fetch(port, "GET", "/") == (200, b"ok")
        assert fetch(port, "POST", "/", b"{}", {"Authorization": "Bearer b"})[0] == 200
        assert fetch(port, "POST", "/", b"{}", {"Authorization": "Bearer a"})[0] == 503
    wait_until(lambda: fetch(port, "POST", "/", b"{}", {"Authorization": "Bearer a"})[0] == 200, "its place is free")


def test_readers_that_take_nothing_keep_nobody_else_waiting(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            slow = stack.enter_context(socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port))
            slow.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            assert slow.recv(1) == b"H"
        assert fetch(port, "GET", "/") == (200, b"ok")


def test_a_long_answer_comes_whole(port: int) -> None:
    assert fetch(port, "GET", "/big") == (200, PIECE * BIG_PIECES)


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1, 200), (LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("headers", [{}, CHUNKED], ids=["length", "chunked"])
def test_a_body_comes_whole_up_to_the_limit(port: int, size: int, status: int, headers: dict[str, str]) -> None:
    body = iter([b"x" * size]) if headers else b"x" * size
    answered, said = fetch(port, "POST", "/", body, headers)
    assert answered == status
    assert status == 413 or json.loads(said)["length"] == size


def test_of_a_client_that_went_away_no_half_a_body_is_taken() -> None:
    """A chunked one says of itself nowhere how long it is."""
    came = iter([
        {"type": "http.request", "body": b"the first half", "more_body": True}, {"type": "http.disconnect"},
    ])

    async def receive() -> Message:
        return next(came)

    async def send(message: Message) -> None:
        pytest.fail(f"answered {message}")

    scope = {
        "type": "http", "method": "POST", "http_version": "1.1", "scheme": "http", "path": "/", "raw_path": b"/",
        "query_string": b"", "headers": [(b"transfer-encoding", b"chunked")], "server": None, "client": None,
    }
    asyncio.run(app(scope, receive, send))


def test_what_the_request_says_of_itself_arrives(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as raw:
        raw.sendall(
            b"POST /%E4%B8%AD%2F%20?q=%C3%A9 HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
            b"Connection: close\r\nContent-Length: 0\r\n\r\n"
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"rest": "中/ ", "query": "é", "header": "1,2"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_partner_that_never_ends_its_requests_stops_neither_feeds_nor_the_desk(
    tmp_path: Path, database_url: str
) -> None:
    with run_service(tmp_path, database_url) as service:
        plain = keys.make_key(service.storage, "partner", Role.PARTNER, utc_now(), "Alpha Daily")[1]
        service.start("web")
        wait_until(lambda: service.get("/healthz")[0] == 200, "the web answers", service.read_logs)
        with unfinished(service.port, 48, "/v1/subscriptions", plain):
            for path in ("/healthz", "/feeds/zh.atom", "/zh/") * 5:
                assert service.get(path)[0] == 200, path
            assert service.call("/v1/subscriptions", {
                "partner": "P", "channel": "webhook", "callback": "http://127.0.0.1:9/", "languages": ["en"],
            })["partner"] == "P"
