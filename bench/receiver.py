"""Partners behind one process: `python -m bench.receiver PORT`.

Each name under localhost is a host of its own to a sender, and each answer ends its connection, as the pushes of a
release to many sites meet them. `/hang/…` is never answered, `/drip/…` byte by byte, all else at once with 204.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from bench.programs import is_listening, running
from service.processes import Program
from tests.faults.processes import free_port

DRIP_SECONDS = 1.0
# For so long a partner that hangs or drips holds the line; no sender of ours waits longer.
PATIENCE_SECONDS = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


class Receiver:
    """One connection: a POST, or a GET that answers when each of those came which were answered at once.

    By the socket itself: with asyncio's transports the receiver took a third more of the machine, which it shares with
    those who are measured.
    """

    # Seconds of `time.monotonic`, which all processes of a machine share.
    times: ClassVar[list[float]] = []

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._buffer, self._loop = connection, b"", asyncio.get_running_loop()
        connection.setblocking(False)
        self._loop.add_reader(connection, self._read)

    def _read(self) -> None:
        data = self._receive()
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        length = _LENGTH.search(head)
        if not data:
            self._close()
        elif end and len(body) >= (int(length[1]) if length else 0):
            self._buffer = b""
            self._answer(head)

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(65_536)
        except ConnectionError:
            return b""

    def _answer(self, head: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            self._end(_json(Receiver.times[int(path.strip(b"/") or 0):]))
        elif path.startswith(b"/hang/"):
            self._loop.call_later(PATIENCE_SECONDS, self._close)
        elif path.startswith(b"/drip/"):
            self._drip(0)
        else:
            Receiver.times.append(time.monotonic())
            self._send(_ANSWER)
            self._close()

    def _end(self, answer: bytes) -> None:
        """Of any length."""
        self._connection.setblocking(True)
        with suppress(ConnectionError):
            self._connection.sendall(answer)
        self._close()

    def _send(self, part: bytes) -> None:
        with suppress(ConnectionError):
            self._connection.send(part)

    def _drip(self, sent: int) -> None:
        if self._connection.fileno() < 0 or sent * DRIP_SECONDS > PATIENCE_SECONDS:
            self._close()
            return
        self._send(_ANSWER[sent:sent + 1])
        self._loop.call_later(DRIP_SECONDS, self._drip, sent + 1)

    def _close(self) -> None:
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection)
            self._connection.close()


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)


async def serve(port: int) -> None:
    # Curl knows both as localhost, and tries the newer first.
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = socket.create_server((address, port), family=family, backlog=4096)
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, _accept, listener)
    await asyncio.get_running_loop().create_future()


def _accept(listener: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            Receiver(listener.accept()[0])


@contextmanager
def run_receiver() -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = (sys.executable, "-m", "bench.receiver", str(port))
    program = Program(name="receiver", command=command, stop_seconds=5, is_ready=lambda: is_listening(port))
    with running(program):
        yield port


def partner_url(port: int, number: int, manner: str = "") -> str:
    """The callback of a partner on a host of its own; its manner is `hang`, `drip` or none."""
    return "/".join(filter(None, (f"http://p{number}.localhost:{port}", manner, str(number))))


def list_received(port: int, start: int = 0) -> list[float]:
    """When each push came that was answered at once, from the ``start``-th on; seconds of `time.monotonic`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{start}", timeout=30) as answer:
        times: list[float] = json.load(answer)
    return times


def count_received(port: int) -> int:
    return len(list_received(port))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
