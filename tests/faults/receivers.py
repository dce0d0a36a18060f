"""Many partners' receivers behind one real HTTP server: each path is a receiver that may misbehave."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A push as it came, whatever it was answered; the headers by their names in small letters."""

    number: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Received:
    """What came: receiver's number to the (message id, id of its release or subscription) of each push, in order.

    ``asked`` are all that came, also those that were not taken.
    """

    hanging: set[int] = field(default_factory=set)
    on_push: Callable[[int], None] = lambda _count: None
    answer: Callable[[int], int] = lambda _number: 204
    asked: list[Asked] = field(default_factory=list)
    pushes: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    release_all: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: int, message_id: str, release_id: str) -> None:
        with self._lock:
            self.pushes[number].append((message_id, release_id))
            count = sum(map(len, self.pushes.values()))
        self.on_push(count)

    def releases_of(self, number: int) -> set[str]:
        return {release_id for _, release_id in self.pushes[number]}

    def repeats(self) -> int:
        """How many pushes came more than once."""
        return sum(len(pushes) - len(set(pushes)) for pushes in self.pushes.values())

    def ids_are_stable(self) -> bool:
        """Whether every repeat came under the message id of the first."""
        pairs = ({release: message for message, release in pushes} for pushes in self.pushes.values())
        return all(
            len({message for message, _ in pushes}) == len(by_release)
            for pushes, by_release in zip(self.pushes.values(), pairs, strict=True)
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    received: Received

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed sender's broken pipe is what the test is about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        received, number = self.server.received, int(self.path.strip("/"))
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        received.asked.append(Asked(number, {name.lower(): value for name, value in self.headers.items()}, raw))
        if number in received.hanging:
            received.release_all.wait(30)
            return
        status = received.answer(number)
        if 200 <= status < 300:
            [subject] = body["data"].values()
            received.note(number, self.headers["webhook-id"], subject["id"])
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tests read what arrived, not a log."""


@contextmanager
def run_receivers() -> Iterator[tuple[str, Received]]:
    """The base URL of the receivers, `/0` and up, and what they get."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.received = Received()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server.received
        finally:
            server.received.release_all.set()
            server.shutdown()
