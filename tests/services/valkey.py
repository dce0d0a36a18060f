"""A private Valkey for tests, started as the service starts its own, that can be made to fail."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from service import broker
from service.processes import end_with_parent

START_SECONDS = 20.0


class Valkey:
    """``folder`` keeps its data over `kill` and `restart`; ``url`` is for Celery."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.socket = socket
        self.url = broker.broker_url(socket)
        self._command = broker.broker_command(broker.find_server(), socket, folder)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, start_new_session=True, stdout=subprocess.DEVNULL,
            preexec_fn=end_with_parent(os.getpid()),
        )
        deadline = time.monotonic() + START_SECONDS
        while not broker.answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the test's Valkey did not start")
            time.sleep(0.01)

    def connect(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True)

    def flush(self) -> None:
        """Forget everything, as if the broker had lost all that it held."""
        with self.connect() as client:
            client.flushall()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Keep connections open and answer nothing, as a stuck host does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            # A frozen process takes its SIGTERM only when it goes on.
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(START_SECONDS)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the test's Valkey is not running")
        self._process.send_signal(number)


@contextmanager
def start_valkey() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="valkey-") as name, broker.private_socket(Path(name)) as socket:
        server = Valkey(Path(name), socket)
        server.start()
        try:
            yield server
        finally:
            server.kill()
