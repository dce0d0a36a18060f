"""A server that is gone without a word, as when its network is: nobody waits for it for hours."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from service.errors import StorageUnavailable
from service.storage import Storage


def connect(url: str) -> None:
    storage = Storage(url)
    with contextlib.suppress(StorageUnavailable), storage.read():
        pass
    storage.close()


def sockets_to(port: int) -> Iterator[socket.socket]:
    """This process's own ends of connections to this port."""
    for own_end in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(own_end.name))) as own:
            if own.getpeername()[1] == port:
                yield own


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux tells of these")
@pytest.mark.parametrize(("place", "idle"), [
    ("u@127.0.0.1:{port}/d", 30), ("u@127.0.0.1:{port}/d?keepalives_idle=7", 7),
    ("u@/d?host=127.0.0.1:{port}&host=127.0.0.1:{port}", 30),
])
def test_a_silent_network_is_asked_whether_the_database_is_still_there(place: str, idle: int) -> None:
    """Sooner or later, as the operator has it in the database's address, which may name two servers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        client = Thread(target=connect, args=(f"postgresql+psycopg://{place.format(port=port)}",))
        client.start()
        peer, _ = server.accept()
        # The first message comes when all is set.
        peer.recv(8)
        found = [
            (own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
             own.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
             own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)) for own in sockets_to(port)
        ]
        peer.close()
        server.close()
        client.join()
    assert found == [(1, idle, 60_000)]
