"""A machine of the test's own within this one: addresses of all kinds, a receiver on each, and a DNS.

For a process in network and mount namespaces of its own, of which it is root: there it reaches nobody else.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dnslib.server import BaseResolver, DNSLogger, DNSServer

PUBLIC, UNREACHABLE = "8.8.8.8", "9.9.9.9"
ADDRESSES = (PUBLIC, "10.1.2.3", "169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::1", "fd00::1")

# ioctl(2) numbers of <linux/sockios.h>
_SET_FLAGS, _SET_ADDRESS = 0x8914, 0x8916
_UP = 1


def give_addresses() -> None:
    """All on the loopback interface, where they reach nobody else; what is loopback is there once that is up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four, socket.socket(socket.AF_INET6) as six:
        fcntl.ioctl(four, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
        for number, address in enumerate(map(ipaddress.ip_address, ADDRESSES)):
            if address.version == 4:
                family = struct.pack("HH4s8x", socket.AF_INET, 0, address.packed)
                fcntl.ioctl(four, _SET_ADDRESS, struct.pack("16s16s", f"lo:{number}".encode(), family))
            else:
                place = struct.pack("16sIi", address.packed, 128, socket.if_nametoindex("lo"))
                fcntl.ioctl(six, _SET_ADDRESS, place)


def use_own_dns(folder: Path) -> None:
    """For this mount namespace alone."""
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: dns\n")):
        (folder / name).write_text(text)
        if Path("/etc", name).exists():
            subprocess.run(["mount", "--bind", folder / name, f"/etc/{name}"], check=True)


class _Handler(BaseHTTPRequestHandler):
    server: Everywhere

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.message_ids.append(self.headers.get("webhook-id"))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests read what arrived, not a log."""


class Everywhere(ThreadingHTTPServer):
    """A receiver on port 80 of every address; ``connected`` are those to which anybody so much as connected."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.message_ids: list[str | None] = []
        super().__init__(("::", 80), _Handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        address = ipaddress.IPv6Address(connection.getsockname()[0])
        self.connected.append(str(address.ipv4_mapped or address))
        return connection, peer

    def take(self) -> tuple[list[str], list[str | None]]:
        """What came since the last time."""
        taken = self.connected, self.message_ids
        self.connected, self.message_ids = [], []
        return taken


@contextmanager
def run_machine(dns: BaseResolver) -> Iterator[Everywhere]:
    give_addresses()
    with tempfile.TemporaryDirectory() as folder, Everywhere() as receiver:
        use_own_dns(Path(folder))
        DNSServer(dns, address="127.0.0.1", port=53, logger=DNSLogger(logf=lambda _: None)).start_thread()
        threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
        yield receiver
