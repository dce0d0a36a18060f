"""The real service as its real processes, each of which a test may kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service import keys
from service.clock import utc_now
from service.config import Settings, load_profile, read_settings
from service.model import Role
from service.processes import Program
from service.publishing import publish_due
from service.storage import Storage
from service.supervisor import service_stages
from tests.conftest import ROOT
from tests.services.valkey import Valkey, start_valkey

PATIENCE_SECONDS = 90.0


class Service:
    """Web, worker and beat as `diglot run` starts them, on a broker and a database of the test's own."""

    def __init__(self, folder: Path, database_url: str, valkey: Valkey) -> None:
        self.valkey, self._folder = valkey, folder
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        profile = json.loads((ROOT / "newsroom.json").read_text("utf-8")) | {"base_url": self.base_url}
        (folder / "newsroom.json").write_text(json.dumps(profile), "utf-8")
        variables = {
            "DIGLOT_PORT": str(self.port), "DIGLOT_DATA_DIR": str(folder), "DIGLOT_DATABASE_URL": database_url,
            "DIGLOT_PROFILE": str(folder / "newsroom.json"), "DIGLOT_REDIS_URL": valkey.url,
            "DIGLOT_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        self.settings: Settings = read_settings(variables)
        self._environ = os.environ | variables
        (folder / "run").mkdir()
        self.storage = Storage(database_url)
        self.storage.migrate()
        publish_due(self.storage, load_profile(self.settings.profile_path), utc_now)
        self._key = keys.make_key(self.storage, "test", Role.ADMIN, utc_now())[1]
        programs = (program for stage in service_stages(self.settings) for program in stage)
        self._programs: dict[str, Program] = {program.name: program for program in programs}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            with (self._folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    self._programs[name].command, env=self._environ, stdout=log, stderr=log,
                    cwd=ROOT, start_new_session=True,
                )

    def start_all(self) -> None:
        self.start("web", "worker", "beat")
        wait_until(lambda: self.get("/readyz")[0] == 200, "the service is ready", self.read_logs)

    def kill(self, name: str) -> None:
        """SIGKILL, as a machine that loses its power: nothing is said, nothing is finished."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def keep_up(self) -> None:
        """Start again what died by itself, as the supervisor does."""
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                self.start(name)

    def stop(self, name: str) -> int:
        """A warm stop; the exit status."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(timeout=40)

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)
        self.storage.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        return self._fetch(urllib.request.Request(self.base_url + path, headers=headers or {}))

    def call(self, path: str, document: Any = None, method: str | None = None) -> Any:
        """The API with the admin's key; raises AssertionError unless it answers 2xx."""
        status, body = self.try_call(path, document, method)
        assert 200 <= status < 300, (status, body)
        return json.loads(body) if body else None

    def try_call(self, path: str, document: Any = None, method: str | None = None) -> tuple[int, bytes]:
        """The status, 0 where nobody answers, and the body."""
        data = None if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        return self._fetch(urllib.request.Request(self.base_url + path, data, headers, method=method))

    def subscribe(self, callback: str) -> Any:
        return self.call("/v1/subscriptions", {
            "partner": callback, "channel": "webhook", "callback": callback, "languages": ["zh-Hans", "en"],
        })

    def read_logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8', 'replace')[-3000:]}" for path in self._folder.glob("*.log")
        )

    def _fetch(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""


@contextmanager
def run_service(folder: Path, database_url: str) -> Iterator[Service]:
    """The service, nothing of it started yet."""
    with start_valkey() as valkey:
        service = Service(folder, database_url, valkey)
        try:
            yield service
        finally:
            service.close()


def wait_until(
    condition: Callable[[], Any], what: str, explain: Callable[[], str] = str, seconds: float = PATIENCE_SECONDS
) -> Any:
    """The first true value of `condition`; fails the test when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{seconds:.0f} s in vain until {what}\n{explain()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
