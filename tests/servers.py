"""A small application behind the real web server, in one process."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.conftest import ROOT
from tests.faults.processes import free_port, wait_until

PATIENCE_SECONDS = 20.0
CHUNKED = {"Transfer-Encoding": "chunked"}


@contextmanager
def serve(target: str) -> Iterator[int]:
    """The port where ``target`` (`module:name`) answers."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "service.server", "--port", str(port), target], cwd=ROOT)
    try:
        wait_until(lambda: _answers(port), "the server answers")
        yield port
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def _answers(port: int) -> bool:
    try:
        return fetch(port, "GET", "/")[0] == 200
    except OSError:
        return False


def fetch(
    port: int, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, headers or {}, encode_chunked=headers == CHUNKED)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
