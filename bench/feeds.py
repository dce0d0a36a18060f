"""A feed of 25 releases, whole and as 304, from the service and from nginx that has the same bytes as a file."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests

from bench import samples
from bench.programs import find_program, run_nginx
from bench.report import Table, progress, run_rounds
from service.clock import utc_now
from service.config import load_profile
from service.publishing import publish_due
from tests.faults.processes import Service, free_port, run_service, wait_until

PATH = "/feeds/zh.atom"
RELEASES = 25
ROUNDS = 5
SECONDS = 4
CONNECTIONS = 16


def run() -> list[Table]:
    """The rate at which a keep-alive client gets the feed, and at which it hears that nothing is new."""
    wrk, nginx = find_program("wrk"), find_program("nginx")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, run_web(Path(name)) as service:
        body = fetch(service.base_url + PATH).content
        with run_file_server(nginx, Path(name), body) as nginx_url:
            sites = {"Diglot": service.base_url + PATH, "nginx": nginx_url}
            return [compare(wrk, sites, body, status) for status in (200, 304)]


def compare(wrk: str, sites: Mapping[str, str], body: bytes, status: int) -> Table:
    table = Table(
        title=f"GET of a feed of {RELEASES} releases answered {status}, {len(body):,} bytes, {CONNECTIONS} connections",
        unit="requests/s", against=("nginx",),
    )
    contestants: dict[str, Callable[[], float]] = {}
    for name, url in sites.items():
        answer = fetch(url)
        assert answer.content == body
        headers = {"If-None-Match": answer.headers["ETag"]} if status == 304 else {}
        assert fetch(url, headers).status_code == status
        contestants[name] = partial(rate, wrk, url, headers)
    run_rounds(f"feeds {status}", ROUNDS, contestants, table)
    return table


def rate(wrk: str, url: str, headers: Mapping[str, str]) -> float:
    """Answered requests per second, of which none may have failed."""
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *(f"-H{name}: {value}" for name, value in headers.items())]
    said = subprocess.run([wrk, *options, url], check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if not found or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return float(found[1])


def fetch(url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
    """The answer to a client that takes no compression, as wrk."""
    return requests.get(url, headers={"Accept-Encoding": "identity", **(headers or {})}, timeout=10)


@contextmanager
def run_web(folder: Path) -> Iterator[Service]:
    """The service's web on SQLite, with its newest releases public."""
    with run_service(folder, f"sqlite:///{folder}/diglot.sqlite3") as service:
        profile = load_profile(service.settings.profile_path)
        progress(f"feeds: publishing {RELEASES} releases")
        for number in range(RELEASES):
            samples.accept(service.storage, profile, number)
        wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the releases are public")
        service.start("web")
        wait_until(lambda: service.get("/healthz")[0] == 200, "the web answers", service.read_logs)
        yield service


@contextmanager
def run_file_server(nginx: str, folder: Path, body: bytes) -> Iterator[str]:
    file = folder / "files" / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    port = free_port()
    with run_nginx(nginx, folder, port):
        yield f"http://127.0.0.1:{port}{PATH}"
