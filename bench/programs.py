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
from tests.faults.processes import Service, wait_until

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
