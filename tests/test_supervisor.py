"""The supervisor, with small stand-ins for the programs and the real broker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service import broker
from service.config import read_settings
from service.errors import ConfigurationError
from service.processes import Program, count_quick_deaths, pause_seconds
from service.stages import supervise
from service.supervisor import check_port, hold_data, service_stages

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 20.0

# Writes what happens to it into a journal; on SIGTERM takes `stop_seconds` to end, or never does.
STAND_IN = """
import os, signal, sys, time
journal, name, stop_seconds, helper = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]
def note(*words):
    with open(journal, "a") as file:
        file.write(" ".join(map(str, (name, *words))) + "\\n")
def stop(*_):
    note("asked")
    if stop_seconds >= 0:
        time.sleep(stop_seconds)
        note("stopped")
        sys.exit()
signal.signal(signal.SIGTERM, stop)
if helper and not os.fork():
    name = helper[0]
note("started", os.getpid(), os.environ.get("DIGLOT_REDIS_URL"))
while True:
    signal.pause()
"""

SUPERVISE = """
import json, logging, os, sys
from service.processes import Program
from service.stages import supervise
logging.basicConfig(level="INFO")
stages = [[Program(**program) for program in stage] for stage in json.loads(sys.argv[1])]
sys.exit(supervise(stages, os.environ))
"""

RUN = """
import json, logging, os, sys
from service.config import read_settings
from service.processes import Program
from service.supervisor import run
logging.basicConfig(level="INFO")
stages = [[Program(**program) for program in stage] for stage in json.loads(sys.argv[1])]
prepare = lambda: print("prepared", file=sys.stderr)
sys.exit(run(read_settings(), os.environ, prepare, lambda settings: stages))
"""


class Journal:
    """What the stand-ins wrote: one line each, the name first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def of(self, name: str, word: str) -> list[list[str]]:
        return [parts[2:] for line in self.lines() if (parts := line.split())[:2] == [name, word]]

    def await_starts(self, *names: str, count: int = 1) -> list[int]:
        """The process ids of each name's last start, once each has started so often."""
        wait_until(lambda: all(len(self.of(name, "started")) >= count for name in names))
        return [int(self.of(name, "started")[-1][0]) for name in names]

    def program(self, name: str, *, takes: float = 0.0, stop_seconds: float = 10.0, helper: str = "") -> dict[str, Any]:
        arguments = [str(self.path), name, str(takes), *filter(None, [helper])]
        return {"name": name, "command": [sys.executable, "-c", STAND_IN, *arguments], "stop_seconds": stop_seconds}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """A zombie is dead: here nobody may be left to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def started(driver: str, stages: list[list[dict[str, Any]]], **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", driver, json.dumps(stages)], cwd=ROOT, env={**os.environ, **environ},
        stderr=subprocess.PIPE, text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    process.send_signal(number)
    return process.communicate(timeout=PATIENCE_SECONDS)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_stage_is_stopped_only_when_the_one_above_it_has_ended(journal: Journal, number: signal.Signals) -> None:
    slow_web = journal.program("web", takes=0.3)
    stages = [[journal.program("broker")], [journal.program("worker", takes=0.2)], [slow_web, journal.program("beat")]]
    with started(SUPERVISE, stages) as process:
        pids = journal.await_starts("broker", "worker", "web", "beat")
        stop(process, number)
        assert process.returncode == 0
    place = journal.lines().index
    assert max(place("web stopped"), place("beat stopped")) < place("worker asked")
    assert place("worker stopped") < place("broker asked") < place("broker stopped")
    assert not any(is_alive(pid) for pid in pids)


def test_a_second_interrupt_cuts_nothing_short(journal: Journal) -> None:
    with started(SUPERVISE, [[journal.program("worker", takes=0.5)]]) as process:
        journal.await_starts("worker")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: bool(journal.of("worker", "asked")))
        stop(process)
        assert process.returncode == 0
    assert journal.of("worker", "stopped")


def test_a_program_deaf_to_its_stop_is_killed_and_said(journal: Journal) -> None:
    with started(SUPERVISE, [[journal.program("web", takes=-1, stop_seconds=0.2)]]) as process:
        [pid] = journal.await_starts("web")
        log = stop(process)
        assert process.returncode == 1
    assert "web did not stop in 0.2 s" in log
    assert not is_alive(pid)


def test_a_dead_program_is_started_again_and_its_neighbour_left_alone(journal: Journal) -> None:
    with started(SUPERVISE, [[journal.program("worker")], [journal.program("web")]]) as process:
        worker, web = journal.await_starts("worker", "web")
        os.kill(worker, signal.SIGKILL)
        [successor] = journal.await_starts("worker", count=2)
        assert successor != worker and is_alive(web)
        log = stop(process)
    assert "worker ended with status -9; starting it again in 1 s" in log
    assert len(journal.of("web", "started")) == 1


def test_what_a_dead_program_leaves_behind_ends_before_its_successor_starts(journal: Journal) -> None:
    with started(SUPERVISE, [[journal.program("web", helper="helper")]]):
        web, helper = journal.await_starts("web", "helper")
        os.kill(web, signal.SIGKILL)
        journal.await_starts("web", count=2)
        assert not is_alive(helper)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_programs_end_with_a_killed_supervisor(journal: Journal) -> None:
    with started(SUPERVISE, [[journal.program("worker")], [journal.program("web")]]) as process:
        pids = journal.await_starts("worker", "web")
        process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_a_program_that_ends_before_it_is_ready_stops_the_start(journal: Journal) -> None:
    earlier = Program(**journal.program("earlier"))
    broken = Program(name="broken", command=("false",), stop_seconds=1, is_ready=lambda: False)
    later = Program(**journal.program("later"))
    ready = Program(name="earlier", command=earlier.command, stop_seconds=10,
                    is_ready=lambda: bool(journal.of("earlier", "started")))
    with pytest.raises(ConfigurationError, match="broken"):
        supervise([[ready], [broken], [later]], os.environ)
    assert journal.of("earlier", "stopped") and not journal.of("later", "started")


@pytest.mark.parametrize(("deaths", "pause"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (5000, 30)])
def test_the_pause_grows_to_half_a_minute(deaths: int, pause: float) -> None:
    assert pause_seconds(deaths) == pause


def test_only_a_program_that_had_been_healthy_begins_a_new_row_of_deaths() -> None:
    assert [count_quick_deaths(4, 59.9), count_quick_deaths(4, 60)] == [5, 1]


def test_a_second_start_on_the_same_data_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigurationError, match="still runs on")
    with hold_data(tmp_path), refused, hold_data(tmp_path, patience_seconds=0):
        pass
    with hold_data(tmp_path, patience_seconds=0):
        pass


def test_data_that_a_part_of_a_dead_supervisor_still_uses_is_refused(tmp_path: Path) -> None:
    with hold_data(tmp_path) as lock:
        part = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    with pytest.raises(ConfigurationError), hold_data(tmp_path, patience_seconds=0):
        pass
    part.kill()
    part.wait()
    with hold_data(tmp_path, patience_seconds=0):
        pass


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be written"), hold_data(tmp_path / "file" / "data"):
        pass


def test_a_port_in_use_is_refused_even_if_its_user_would_share_it() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} is in use"):
            check_port(port)
    check_port(port)


def _environ(tmp_path: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return {"DIGLOT_DATA_DIR": str(tmp_path / "data"), "DIGLOT_PORT": str(probe.getsockname()[1])}


def test_run_gives_the_programs_a_broker_that_answers_and_ends_it_last(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "data" / "run" / "broker.sock"
    with started(RUN, [[journal.program("worker")]], **_environ(tmp_path)) as process:
        journal.await_starts("worker")
        assert journal.of("worker", "started")[0][1] == broker.broker_url(path)
        assert broker.answers(path)
        log = stop(process)
        assert process.returncode == 0
    assert log.index("prepared") < log.index("broker started") < log.index("worker started")
    assert not broker.answers(path) and not path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_service_starts_again_at_once_on_its_own_broker(journal: Journal, tmp_path: Path) -> None:
    path, environ = tmp_path / "data" / "run" / "broker.sock", _environ(tmp_path)
    with started(RUN, [[journal.program("worker", takes=0.5)]], **environ) as process:
        journal.await_starts("worker")
        process.kill()
    with started(RUN, [[journal.program("worker")]], **environ) as process:
        journal.await_starts("worker", count=2)
        assert journal.of("worker", "stopped"), "the first worker still ran when the second was started"
        assert broker.answers(path)


def test_with_a_broker_named_none_is_started(journal: Journal, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    with started(RUN, [[journal.program("worker")]], **_environ(tmp_path), DIGLOT_REDIS_URL=url) as process:
        journal.await_starts("worker")
        log = stop(process)
        assert process.returncode == 0
    assert journal.of("worker", "started")[0][1] == url
    assert "broker started" not in log


def test_the_worker_outlives_web_and_beat(tmp_path: Path) -> None:
    stages = service_stages(read_settings({"DIGLOT_DATA_DIR": str(tmp_path)}))
    assert [{program.name for program in stage} for stage in stages] == [{"worker"}, {"web", "beat"}]
