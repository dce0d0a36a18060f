"""A partner that answers 204 as fast as one process can, and counts: `python -m bench.receiver PORT`.

It keeps up with nginx returning 204 (docs/benchmarks.md), is there wherever the benchmark runs, and
knows how many pushes came.
"""

from __future__ import annotations

import asyncio
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from bench.programs import is_listening, running
from service.processes import Program
from tests.faults.processes import free_port

# To each of these only a few pushes go at once.
HOSTS = [f"127.0.0.{number}" for number in range(1, 251)]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection: any number of POSTs, one after another. A GET answers how many came in all."""

    received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        length = _LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"POST"):
            Receiver.received += 1
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        count = b"%d" % Receiver.received
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(count), count)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, HOSTS, port, backlog=1024)
    await server.serve_forever()


@contextmanager
def run_receiver() -> Iterator[int]:
    """Its port; every path of any of its hosts is a partner."""
    port = free_port()
    command = (sys.executable, "-m", "bench.receiver", str(port))
    program = Program(name="receiver", command=command, stop_seconds=5, is_ready=lambda: is_listening(port))
    with running(program):
        yield port


def callback_of(number: int, port: int) -> str:
    """The partners are spread over the hosts as evenly as can be."""
    return f"http://{HOSTS[number % len(HOSTS)]}:{port}/{number}"


def count_received(port: int) -> int:
    with urllib.request.urlopen(f"http://{HOSTS[0]}:{port}", timeout=10) as answer:
        return int(answer.read())


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
