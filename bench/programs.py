"""The programs beside the service that a benchmark measures against, or measures with."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.report import Skipped
from service.processes import Child, Program
from service.storage import Storage
from tests.faults import processes
from tests.faults.processes import Service, free_port, wait_until

READY_SECONDS = 60.0


def find_program(name: str) -> str:
    """Raises Skipped. System administrators' programs are not on everybody's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
    if found is None:
        raise Skipped(f"{name} is not on PATH; on Debian: apt-get install nginx-light wrk")
    return found


@contextmanager
def run_service(folder: Path, database_url: str, *, workers: int = 1) -> Iterator[Service]:
    """The service on a database of its own, nothing of it started yet."""
    storage = Storage(database_url)
    storage.migrate()
    storage.close()
    with processes.run_service(folder, database_url, workers=workers) as service:
        yield service


@contextmanager
def running(program: Program, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """The program, from ready to stopped."""
    child = Child(program, os.environ | (environ or {}), ())
    child.start()
    try:
        wait_until(child.is_ready, f"{program.name} is ready", seconds=READY_SECONDS)
        yield
    finally:
        child.ask_to_stop()
        child.await_end()


@contextmanager
def run_nginx(nginx: str, folder: Path, files: Path, *, trust_seconds: int = 0) -> Iterator[str]:
    """Where ``files`` are served, by as many processes as the service's web has, without a log.

    It looks at a file for each request, or trusts for so long that it is as it was.
    """
    folder.mkdir()
    port = free_port()
    cache = f"max=16; open_file_cache_valid {trust_seconds}s" if trust_seconds else "off"
    text = _NGINX.format(folder=folder, files=files, port=port, user=_user(), cache=cache)
    (folder / "nginx.conf").write_text(text, "utf-8")
    command = (nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"))
    program = Program(name="nginx", command=command, stop_seconds=10, is_ready=lambda: is_listening(port))
    with running(program):
        yield f"http://127.0.0.1:{port}"


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def used_mb(session: int) -> float:
    """The memory of all processes of a session, what they share counted once (Linux: `Pss` in proc(5))."""
    kilobytes = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if os.getsid(int(folder.name)) == session:
                found = re.search(r"^Pss: +(\d+) kB$", (folder / "smaps_rollup").read_text(), re.MULTILINE)
                kilobytes += int(found[1]) if found else 0
    return kilobytes / 1024


def _user() -> str:
    # Started by root, it would serve as a user who can't read the temporary folder.
    return "user root;" if os.geteuid() == 0 else ""


_NGINX = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type application/atom+xml;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {files};
        open_file_cache {cache};
        gzip_static on;
    }}
}}
"""
