"""Subscribers behind one real HTTP server: each path is a callback that is asked, and is sent what it subscribed to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.faults.processes import wait_until

Reply = tuple[int, bytes, dict[str, str]]


@dataclass(frozen=True)
class Distribution:
    """A POST: the callback's whole path and query, the headers by their names in small letters, the body."""

    target: str
    headers: dict[str, str]
    body: bytes


def confirm(fields: dict[str, str]) -> Reply:
    return 200, fields.get("hub.challenge", "").encode(), {}


@dataclass
class Callback:
    """One subscriber's memory; ``reply`` answers questions, ``status`` what is sent."""

    url: str
    questions: list[dict[str, str]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    received: list[Distribution] = field(default_factory=list)
    reply: Callable[[dict[str, str]], Reply] = confirm
    status: Callable[[], int] = lambda: 200

    def await_question(self, count: int = 1) -> dict[str, str]:
        wait_until(lambda: len(self.questions) >= count, f"{self.url} is asked {count} times", seconds=30)
        return self.questions[count - 1]

    def await_content(self, count: int = 1) -> Distribution:
        wait_until(lambda: len(self.received) >= count, f"{self.url} is sent {count} things", seconds=30)
        return self.received[count - 1]


class Subscribers(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.callbacks: dict[str, Callback] = {}
        # Told how many questions and distributions came so far.
        self.on_request: Callable[[int], None] = lambda _count: None
        self._count, self._lock = 0, threading.Lock()

    def note(self) -> None:
        with self._lock:
            self._count += 1
            self.on_request(self._count)

    def add(self, path: str, query: str = "", **more: object) -> Callback:
        url = f"http://127.0.0.1:{self.server_address[1]}/{path}{query}"
        callback = self.callbacks[f"/{path}"] = Callback(url, **more)  # type: ignore[arg-type]
        return callback

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up meanwhile is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Subscribers

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        callback = self.server.callbacks[parts.path]
        fields = dict(parse_qsl(parts.query, keep_blank_values=True))
        status, body, headers = callback.reply(fields)
        self._answer(status, body, {"Content-Type": "application/octet-stream", **headers})
        callback.targets.append(self.path)
        callback.questions.append(fields)
        self.server.note()

    def do_POST(self) -> None:
        callback = self.server.callbacks[urlsplit(self.path).path]
        body = self.rfile.read(int(self.headers["content-length"]))
        self._answer(callback.status(), b"not for the hub", {})
        headers = {name.lower(): value for name, value in self.headers.items()}
        callback.received.append(Distribution(self.path, headers, body))
        self.server.note()

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_subscribers() -> Iterator[Subscribers]:
    with Subscribers() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
