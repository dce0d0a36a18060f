"""The real service as its real processes, each of which a test may kill."""

from __future__ import annotations

import functools
import json
import os
import random
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from service import keys, subscriptions
from service.clock import utc_now
from service.config import Settings, load_profile, read_settings
from service.model import Role
from service.publishing import publish_due
from service.storage import Storage
from service.supervisor import service_stages
from tests.conftest import ROOT, SECRET_KEY, VAULT
from tests.services.valkey import Valkey, start_valkey

PATIENCE_SECONDS = 90.0


class Service:
    """Web, worker and beat as `diglot run` starts them, on a broker and a database of the test's own.

    More of them than there runs stand for a newsroom on several machines: ``web_processes`` behind one port,
    and ``workers`` named worker, worker2 and so on.
    """

    def __init__(
        self, folder: Path, database_url: str, valkey: Valkey, *, web_processes: int = 2, workers: int = 1
    ) -> None:
        self.valkey, self._folder = valkey, folder
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        profile = json.loads((ROOT / "newsroom.json").read_text("utf-8")) | {"base_url": self.base_url}
        (folder / "newsroom.json").write_text(json.dumps(profile), "utf-8")
        variables = {
            "DIGLOT_PORT": str(self.port), "DIGLOT_DATA_DIR": str(folder), "DIGLOT_DATABASE_URL": database_url,
            "DIGLOT_PROFILE": str(folder / "newsroom.json"), "DIGLOT_REDIS_URL": valkey.url,
            "DIGLOT_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "DIGLOT_SECRET_KEY": SECRET_KEY,
        }
        self.settings: Settings = read_settings(variables)
        self._environ = os.environ | variables
        (folder / "run").mkdir()
        self.storage = Storage(database_url, vault=VAULT)
        publish_due(self.storage, load_profile(self.settings.profile_path), utc_now)
        key = keys.make_key(self.storage, "test", Role.ADMIN, utc_now())[1]
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        programs = (program for stage in service_stages(self.settings) for program in stage)
        self._commands: dict[str, tuple[str, ...]] = {program.name: program.command for program in programs}
        web, worker = self._commands["web"], self._commands["worker"]
        count = web.index("--workers") + 1
        self._commands["web"] = (*web[:count], str(web_processes), *web[count + 1:])
        self.workers = ["worker", *(f"worker{number}" for number in range(2, workers + 1))]
        self._commands |= {name: (*worker, "-n", f"{name}@%h") for name in self.workers}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, largest_file: int | None = None) -> None:
        """No file that they write can grow beyond ``largest_file`` bytes, as on a disk that is full."""
        for name in names:
            with (self._folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    self._commands[name], env=self._environ, stdout=log, stderr=log,
                    cwd=ROOT, start_new_session=True,
                    preexec_fn=None if largest_file is None else functools.partial(
                        resource.setrlimit, resource.RLIMIT_FSIZE, (largest_file, largest_file)
                    ),
                )

    def start_twin(self, name: str) -> None:
        """One more of it, as an operator's mistake starts it; beat keeps no state that two would fight for."""
        self._commands[f"{name}'s twin"] = self._commands[name]
        self.start(f"{name}'s twin")

    def start_all(self) -> None:
        self.start("web", *self.workers, "beat")
        wait_until(lambda: self.get("/readyz")[0] == 200, "the service is ready", self.read_logs)

    def kill(self, name: str) -> None:
        """SIGKILL, as a machine that loses its power: nothing is said, nothing is finished."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run_out_claims(self) -> None:
        """What twenty seconds do to the claims of a worker that died; with none alive, nobody else holds any."""
        with self.storage.write() as tx:
            tx.exec_driver_sql("UPDATE deliveries SET claim_until = next_attempt_at WHERE claim_until IS NOT NULL")

    def pids(self) -> dict[str, int]:
        """Of each program that was started: the process, and the session of its own that it leads."""
        return {name: process.pid for name, process in self._processes.items()}

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

    def call(
        self, path: str, document: Any = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The API with the admin's key; raises AssertionError unless it answers 2xx."""
        status, body = self.try_call(path, document, method, headers)
        assert 200 <= status < 300, (status, body)
        return json.loads(body) if body else None

    def try_call(
        self, path: str, document: Any = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status, 0 where nobody answers, and the body."""
        data = None if document is None else json.dumps(document).encode()
        sent = self.headers | (headers or {})
        return self._fetch(urllib.request.Request(self.base_url + path, data, sent, method=method))

    def subscribe(self, callback: str) -> None:
        """As a web process does; many who subscribe that way take longer than what is then done to their pushes."""
        order = {"partner": callback, "channel": "webhook", "callback": callback, "languages": ["zh-Hans", "en"]}
        subscriptions.subscribe(self.storage, order, utc_now())

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
def run_service(folder: Path, database_url: str, **more: int) -> Iterator[Service]:
    """The service, nothing of it started yet."""
    with start_valkey() as valkey:
        service = Service(folder, database_url, valkey, **more)
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
    """Of those that no outgoing connection is given, which could take it before the service does."""
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
