"""Partners behind one process: `python -m bench.receiver PORT`.

Each name under localhost is a host of its own to a sender, and each answer ends its connection, as the pushes of a
release to many sites meet them. `/hang/…` is never answered, `/drip/…` byte by byte, all else at once with 204.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import uvloop

from bench.programs import is_listening, running
from service.processes import Program
from tests.faults.processes import free_port

DRIP_SECONDS = 1.0
# For so long a partner that hangs or drips holds the line; no sender of ours waits longer.
PATIENCE_SECONDS = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection: a POST, or a GET that answers when each of those came which were answered at once."""

    # Seconds of `time.monotonic`, which all processes of a machine share.
    times: ClassVar[list[float]] = []

    def connection_made(self, transport: Any) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_END)
        length = _LENGTH.search(self._buffer, 0, max(end, 0))
        if end >= 0 and len(self._buffer) >= end + len(_END) + (int(length[1]) if length else 0):
            head, self._buffer = self._buffer[:end], b""
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            self._end(_json(Receiver.times[int(path.strip(b"/") or 0):]))
        elif path.startswith(b"/hang/"):
            self._later(PATIENCE_SECONDS, self._transport.close)
        elif path.startswith(b"/drip/"):
            self._drip(0)
        else:
            Receiver.times.append(time.monotonic())
            self._end(_ANSWER)

    def _end(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._transport.close()

    def _drip(self, sent: int) -> None:
        if self._transport.is_closing() or sent * DRIP_SECONDS > PATIENCE_SECONDS:
            self._transport.close()
            return
        self._transport.write(_ANSWER[sent:sent + 1])
        self._later(DRIP_SECONDS, self._drip, sent + 1)

    def _later(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        asyncio.get_running_loop().call_later(seconds, act, *arguments)


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)


async def serve(port: int) -> None:
    # Curl knows both as localhost, and tries the newer first.
    for address in ("127.0.0.1", "::1"):
        await asyncio.get_running_loop().create_server(Receiver, address, port, backlog=4096)
    await asyncio.get_running_loop().create_future()


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
    # It shares the machine with those who are measured, and takes half as much of it as under asyncio's own loop.
    uvloop.run(serve(int(sys.argv[1])))
