"""A partner that speaks no HTTP of its own accord: every byte that it sends is the test's."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behave = Callable[[socket.socket, threading.Event], None]


def answer(raw: bytes) -> Behave:
    return lambda connection, _over: connection.sendall(raw)


def drip(raw: bytes) -> Behave:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        for byte in raw:
            connection.sendall(bytes([byte]))
            if over.wait(0.1):
                return

    return behave


def flood(start: bytes, chunk: bytes) -> Behave:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.is_set():
            connection.sendall(chunk)

    return behave


def reset(connection: socket.socket, _over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")
    # Closed so, it sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def run_partner(
    behave: Behave, heads: list[bytes] | None = None, *, is_secure: bool = False
) -> Iterator[tuple[str, list[object]]]:
    """A server that reads a request and then behaves; its URL, and who connected. ``heads`` are told what was read.

    Where it ``is_secure`` whoever behaves shakes hands first and reads for itself.
    """
    over, accepted = threading.Event(), []
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if not is_secure:
                head = read_request(connection)
                if heads is not None:
                    heads.append(head)
            behave(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            accepted.append(peer)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", accepted
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    """All of it, for what is left unread when the connection is closed resets it; the head is returned."""
    head, found, body = b"", b"", b""
    while not found and (data := connection.recv(65536)):
        head, found, body = (head + data).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    left = (int(length[1]) if length else 0) - len(body)
    while left > 0 and (data := connection.recv(65536)):
        left -= len(data)
    return head
