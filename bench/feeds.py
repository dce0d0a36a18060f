"""A feed of 25 releases, whole and as 304, from the service and from nginx that has the same bytes as files.

nginx looks at its file for each request, as the service asks which generation is out. Beside them is a limit: nginx
where it trusts for a minute that a file is as it was.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import requests

from bench import samples
from bench.programs import find_program, run_nginx, run_service
from bench.report import Table, progress, run_rounds
from service.clock import utc_now
from service.config import load_profile
from service.publishing import publish_due
from tests.faults.processes import Service, wait_until
from tests.services.postgres import start_postgres

ENCODINGS = ("identity", "gzip")
PATH = "/feeds/zh.atom"
RELEASES = 25
ROUNDS = 5
SECONDS = 2
TRUST_SECONDS = 60
# Of a few readers behind one proxy, and of many that poll in the same minute.
CONNECTIONS = (16, 64)


def run() -> list[Table]:
    """The rate at which a keep-alive client gets the feed, and at which it hears that nothing is new."""
    wrk, nginx = find_program("wrk"), find_program("nginx")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sqlite = stack.enter_context(run_service_web(folder / "sqlite", f"sqlite:///{folder}/diglot.sqlite3"))
        postgres = stack.enter_context(start_postgres())
        postgresql = stack.enter_context(run_service_web(folder / "postgresql", postgres.create_database()))
        bodies = [fetch(sqlite.base_url + PATH, encoding, stream=True).raw.read() for encoding in ENCODINGS]
        files = save(folder / "files", *bodies)
        sites = {
            "Diglot on SQLite": sqlite.base_url, "Diglot on PostgreSQL": postgresql.base_url,
            "nginx": stack.enter_context(run_nginx(nginx, folder / "nginx", files)),
            "trusting nginx": stack.enter_context(
                run_nginx(nginx, folder / "trusting", files, trust_seconds=TRUST_SECONDS)
            ),
        }
        cases = product(CONNECTIONS, ENCODINGS, (200, 304))
        return [compare(wrk, sites, connections, encoding, status) for connections, encoding, status in cases]


def compare(wrk: str, sites: Mapping[str, str], connections: int, encoding: str, status: int) -> Table:
    size = int(fetch(sites["nginx"] + PATH, encoding).headers["Content-Length"])
    table = Table(
        title=f"GET of a feed of {RELEASES} releases answered {status}, {encoding}: {size:,} bytes, "
        f"{connections} connections",
        unit="requests/s", against=("nginx",),
    )
    contestants: dict[str, Callable[[], float]] = {}
    for name, url in sites.items():
        answer = fetch(url + PATH, encoding)
        headers = {"Accept-Encoding": encoding}
        if status == 304:
            headers["If-None-Match"] = answer.headers["ETag"]
        assert fetch(url + PATH, encoding, headers).status_code == status
        contestants[name] = partial(rate, wrk, url + PATH, headers, connections)
    run_rounds(f"feeds {encoding} {status} {connections}", ROUNDS, contestants, table)
    return table


def rate(wrk: str, url: str, headers: Mapping[str, str], connections: int) -> float:
    """Answered requests per second, of which none may have failed."""
    options = ["-t1", f"-c{connections}", f"-d{SECONDS}s", *(f"-H{name}: {value}" for name, value in headers.items())]
    said = subprocess.run([wrk, *options, url], check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if not found or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return float(found[1])


def fetch(
    url: str, encoding: str, headers: Mapping[str, str] | None = None, *, stream: bool = False
) -> requests.Response:
    return requests.get(url, headers={"Accept-Encoding": encoding, **(headers or {})}, timeout=10, stream=stream)


@contextmanager
def run_service_web(folder: Path, database_url: str) -> Iterator[Service]:
    """The service's web with its newest releases public."""
    folder.mkdir()
    with run_service(folder, database_url) as service:
        profile = load_profile(service.settings.profile_path)
        progress(f"feeds: publishing {RELEASES} releases")
        for number in range(RELEASES):
            samples.accept(service.storage, profile, number)
        wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the releases are public")
        service.start("web")
        wait_until(lambda: service.get("/healthz")[0] == 200, "the web answers", service.read_logs)
        yield service


def save(files: Path, body: bytes, packed: bytes) -> Path:
    """The same bytes as files, packed once as ours are."""
    file = files / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    file.with_name(f"{file.name}.gz").write_bytes(packed)
    return files
