"""nginx as the benchmarks have it: without a log, from a folder of its own."""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import find_program, is_listening, running
from service.processes import Program
from tests.faults.processes import free_port


@contextmanager
def serve_files(folder: Path, files: Path, *, trust_seconds: int = 0) -> Iterator[str]:
    """Where ``files`` are served, by as many processes as the service's web has.

    It looks at a file for each request, or trusts for so long that it is as it was. Raises Skipped.
    """
    cache = f"max=16; open_file_cache_valid {trust_seconds}s" if trust_seconds else "off"
    with _run_nginx(folder, 2, _FILES.format(files=files, cache=cache)) as port:
        yield f"http://127.0.0.1:{port}"


class Sink:
    """Partners who all answer at once with 204 and end the connection, on one ``port``."""

    def __init__(self, port: int) -> None:
        self.port, self._asked = port, 0

    def count(self) -> int:
        """How many pushes have come."""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        asking.request("GET", "/status")
        found = re.search(rb"requests\s+\d+ \d+ (\d+)", asking.getresponse().read())
        assert found
        self._asked += 1
        return int(found[1]) - self._asked


@contextmanager
def run_sink(folder: Path) -> Iterator[Sink]:
    """One process, which takes half as much from those who are measured as Python under uvloop. Raises Skipped."""
    with _run_nginx(folder, 1, _SINK) as port:
        yield Sink(port)


@contextmanager
def _run_nginx(folder: Path, processes: int, block: str) -> Iterator[int]:
    """On its port, which the ``block`` of its http module has as PORT."""
    nginx, port = find_program("nginx"), free_port()
    folder.mkdir()
    text = _COMMON.format(folder=folder, user=_user(), processes=processes, block=block.replace("PORT", str(port)))
    (folder / "nginx.conf").write_text(text, "utf-8")
    command = (nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"))
    with running(Program(name="nginx", command=command, stop_seconds=10, is_ready=lambda: is_listening(port))):
        yield port


def _user() -> str:
    # Started by root, it would serve as a user who can't read the temporary folder.
    return "user root;" if os.geteuid() == 0 else ""


_COMMON = """
{user}
daemon off;
worker_processes {processes};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""
_FILES = """
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type application/atom+xml;
    server {{
        listen 127.0.0.1:PORT;
        root {files};
        open_file_cache {cache};
        gzip_static on;
    }}
"""
# Curl knows localhost by both addresses, and tries the newer first. A push fits where its head is read.
_SINK = """
    keepalive_timeout 0;
    client_header_buffer_size 16k;
    server {
        listen 127.0.0.1:PORT backlog=4096;
        listen [::1]:PORT backlog=4096;
        location / { return 204; }
        location = /status { stub_status; }
    }
"""
