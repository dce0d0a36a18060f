"""A small application behind the hatch, and the sockets that ask it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPResponse
from typing import Any

import uvicorn

from service.connection import Connection
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


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as sock:
        yield sock


def head(path: str = KNOWN, method: str = "GET", version: str = "1.1", **fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def pieces(sock: socket.socket) -> Iterator[bytes]:
    """All that comes until the end."""
    with suppress(ConnectionResetError):
        while piece := sock.recv(1 << 20):
            yield piece


def take(sock: socket.socket) -> int:
    """How many bytes come until the end."""
    return sum(map(len, pieces(sock)))


def read(sock: socket.socket, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(sock, method=method)
    response.begin()
    return response, response.read()


def read_from(stream: Any) -> bytes:
    """The next body of several in one stream."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split()[1])
    body: bytes = stream.read(length)
    return body
